"""What the policies' trainers override, call and read of TRL and transformers beyond their documented interface.

A new release that changes one of these must fail here, with a sentence, and not in the middle of a run.
"""

from __future__ import annotations

import inspect
import re

import pytest
import trl.trainer.utils
from hooks import check_hook
from transformers import Trainer, TrainerCallback
from trl import GRPOTrainer, RLOOTrainer

from grpo.ppo import PPOTrainer
from grpo.step_times import StepTimesMixin
from grpo.trainer import OwnAdvantages, PolicyTrainerMixin, PricedGRPOTrainer, PricedRLOOTrainer, ReinforceTrainer

SCORING = "(self, model, input_ids, attention_mask, logits_to_keep, batch_size=None, ...)"

# Of both of TRL's trainers that PolicyTrainerMixin and StepTimesMixin stand before.
SHARED = {
    "_tokenize_prompts": "(self, prompts)",
    "_generate": "(self, prompts)",
    "_calculate_rewards": "(self, inputs, prompts, completions, completion_ids_list)",
    "_generate_and_score_completions": "(self, inputs)",
    "_get_per_token_logps_and_entropies": SCORING,
    "_prepare_inputs": "(self, generation_batch)",
    "_clip_grad_norm": "(self, model)",
    "training_step": "(self, model, inputs, num_items_in_batch)",
    "compute_loss": "(self, model, inputs, return_outputs=False, num_items_in_batch=None)",
    "log": "(self, logs, start_time=None)",
    "create_optimizer": "(self, model=None)",
    "get_decay_parameter_names": "(self, model)",
    "remove_callback": "(self, callback)",
}
# The two differ in what they hand to the generator, and in what they expect of it (``gives_logprobs``).
GENERATING = {
    GRPOTrainer: "(self, prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False)",
    RLOOTrainer: "(self, prompt_ids, images, multimodal_fields)",
}
# What they keep of their own, and which of our classes reads or writes it.
KEPT = {
    "_step": "(PolicyTrainerMixin.load_own_state)",
    "_metrics": "(PPOTrainer)",
    "_logs": "(OwnAdvantages)",
    "ref_model": "(PPOTrainer, grpo.memory)",
    "reward_weights": "(PolicyTrainerMixin.total)",
    "shuffle_dataset": "(PolicyTrainerMixin._other_rows)",
    "num_generations": "(PolicyTrainerMixin)",
    "num_iterations": "(PolicyTrainerMixin.compute_loss)",
    "beta": "(PolicyTrainerMixin.scoring, PPOTrainer)",
}
OURS = (
    StepTimesMixin, PolicyTrainerMixin, PricedGRPOTrainer, PricedRLOOTrainer, OwnAdvantages, ReinforceTrainer,
    PPOTrainer,
)  # fmt: skip
LIBRARIES = [GRPOTrainer, RLOOTrainer]


@pytest.mark.parametrize("trainer", LIBRARIES)
@pytest.mark.parametrize("name", SHARED)
def test_a_method_that_we_override_or_call_has_not_changed(trainer, name):
    check_hook(trainer, name, SHARED[name])


@pytest.mark.parametrize("trainer", LIBRARIES)
def test_the_generator_is_called_as_before(trainer):
    check_hook(trainer, "_generate_single_turn", GENERATING[trainer])


@pytest.mark.parametrize("trainer", LIBRARIES)
@pytest.mark.parametrize("name", KEPT)
def test_an_attribute_that_we_read_is_still_set(trainer, name):
    source = inspect.getsource(trainer.__init__)
    assert re.search(rf"self\.{name}\b *(:[^=\n]+)?=[^=]", source), (
        f"{trainer.__name__} must set self.{name}, which this project uses {KEPT[name]}; the library no longer does."
    )


def test_metrics_and_the_table_of_completions_have_the_parts_we_write():
    """Every part is kept by mode, and the advantages of a batch in a queue of their own."""
    for trainer in LIBRARIES:
        source = inspect.getsource(trainer.__init__)
        parts = {
            "_metrics['train']": r'self\._metrics = \{"train": defaultdict\(list\)',
            "_logs['advantages']": r'"advantages": deque\(',
        }
        for part, pattern in parts.items():
            assert re.search(pattern, source), f"{trainer.__name__} must keep {part}; the library no longer does."


def test_the_reference_model_is_loaded_by_the_name_in_the_configuration():
    """``grpo.train`` lets that name lead to the start checkpoint."""
    check_hook(trl.trainer.utils, "get_config_model_id", "(config)")
    source = inspect.getsource(trl.trainer.utils.get_config_model_id)
    assert "_name_or_path" in source, "TRL must find a model by config._name_or_path; it looks elsewhere now."
    for trainer in LIBRARIES:
        source = inspect.getsource(trainer.__init__)
        assert "get_config_model_id(" in source, f"{trainer.__name__} must load its reference model by that name."


def test_the_optimiser_step_is_announced_before_and_after():
    check_hook(TrainerCallback, "on_pre_optimizer_step", "(self, args, state, control, **kwargs)")
    check_hook(TrainerCallback, "on_optimizer_step", "(self, args, state, control, **kwargs)")


def test_every_private_method_that_we_override_is_named_here():
    """A method of ours that happens to have the name of one of TRL's would be called by TRL."""
    named = {*SHARED, "_generate_single_turn"}
    for ours in OURS:
        for name in vars(ours):
            private = name.startswith("_") and not name.startswith("__")
            if private and any(callable(getattr(library, name, None)) for library in (*LIBRARIES, Trainer)):
                assert name in named, f"{ours.__name__}.{name} overrides a method of the library: name it in SHARED."
