"""What distillation overrides and calls of TRL, transformers and peft: a release that changes it must fail here."""

from __future__ import annotations

import peft
import pytest
from hooks import check_hook
from transformers import Trainer
from transformers.models.auto import tokenization_auto
from trl import SFTTrainer

from cot_distill.train import PricedSFTTrainer

METHODS = {
    "compute_loss": "(self, model, inputs, return_outputs=False, num_items_in_batch=None)",
    "remove_callback": "(self, callback)",
    "floating_point_ops": "(self, inputs)",
}
FUNCTIONS = [
    (peft, "get_peft_model", "(model, peft_config, ...)"),
    (peft, "get_peft_model_state_dict", "(model, ...)"),
    (peft, "set_peft_model_state_dict", "(model, peft_model_state_dict, ...)"),
    (tokenization_auto, "get_tokenizer_config", "(pretrained_model_name_or_path, ...)"),
]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_the_trainer_has_not_changed(name):
    check_hook(SFTTrainer, name, METHODS[name])


@pytest.mark.parametrize(("module", "name", "signature"), FUNCTIONS)
def test_a_function_of_the_libraries_has_not_changed(module, name, signature):
    check_hook(module, name, signature)


def test_every_private_method_that_we_override_is_named_here():
    """A method of ours that happens to have the name of one of TRL's would be called by TRL."""
    for name in vars(PricedSFTTrainer):
        private = name.startswith("_") and not name.startswith("__")
        taken = any(hasattr(library, name) for library in (SFTTrainer, Trainer))
        assert not (private and taken), f"PricedSFTTrainer.{name} overrides a private method of the library."


def test_a_changed_hook_is_told_in_a_sentence():
    with pytest.raises(AssertionError, match=r"Trainer\._gone must exist"):
        check_hook(Trainer, "_gone", "(self)")
    with pytest.raises(AssertionError, match=r"must have the signature \(self, logs\), not \(self, logs, start_time"):
        check_hook(Trainer, "log", "(self, logs)")
    with pytest.raises(AssertionError, match="must not need 'logs', which this project does not give"):
        check_hook(Trainer, "log", "(self, ...)")
