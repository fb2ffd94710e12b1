"""What a language model from scratch is made of: a token for each character, and the shape that the options give.

Light: neither torch nor transformers is loaded until a configuration is built.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from tokenizers import Regex, Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

from benchmarks.errors import UserError, did_you_mean
from benchmarks.language_models import ModelOptions, configuration_class
from benchmarks.text_form import END_THINK, THINK

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"


def character_backend(alphabet: str) -> Tokenizer:
    """One token per character of the task, and one each for the two think marks."""
    words = [PAD, EOS, UNKNOWN, THINK, END_THINK, *sorted(set(alphabet))]
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = Split(Regex(f"{EOS}|{THINK}|{END_THINK}|[\\s\\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def scratch_config(options: ModelOptions, vocabulary_size: int) -> Any:
    """The transformers configuration of the model from scratch.

    Raises:
        UserError: if the architecture does not know the settings, or refuses them.
    """
    shape = {
        "vocab_size": vocabulary_size,
        "hidden_size": options.width,
        "num_hidden_layers": options.layers,
        "num_attention_heads": options.heads,
        "intermediate_size": options.inner,
        "max_position_embeddings": options.context,
        "tie_word_embeddings": False,
    }
    if options.architecture != "autoregressive_trm":  # all of whose heads have their own keys and values
        shape |= {"num_key_value_heads": options.key_value_heads, "head_dim": options.width // options.heads}
    if "rung" in options.settings:  # of the ladder of autoregressive TRMs: it says how many layers
        del shape["num_hidden_layers"]
    try:
        config = configuration_class(options.architecture)(**{**shape, **options.settings})
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise UserError(
            f"{options.architecture} refuses these settings ({str(error).splitlines()[0]}).",
            where="model.settings",
            cure="Give arguments of its transformers configuration.",
        ) from None
    if options.architecture == "autoregressive_trm":  # others know more names than their fields
        known = {field.name for field in fields(config)}
        for name in options.settings.keys() - known:
            raise UserError(f"there is no setting '{name}'.", where="model.settings", cure=did_you_mean(name, known))
    return config
