"""What a method of a library must look like for an override or a call of ours to fit."""

from __future__ import annotations

import inspect
from typing import Any

REST = ", ...)"  # at the end of a signature: more parameters may follow, all with defaults


def check_hook(owner: Any, name: str, signature: str) -> None:
    """Fail with a sentence unless ``owner`` has a method ``name`` with these parameters.

    Args:
        owner: a class or a module.
        signature: parameters with their defaults and without annotations, such as ``(self, inputs, start_time=None)``.
            Where it ends in ``, ...)`` more parameters may follow if all of them have defaults.
    """
    where = f"{owner.__name__}.{name}"
    hook = getattr(owner, name, None)
    assert callable(hook), f"{where} must exist, because this project overrides or calls it; the library removed it."

    found = inspect.signature(hook)
    parameters = []
    for parameter in found.parameters.values():
        parameters.append(parameter.replace(annotation=inspect.Parameter.empty))
    expected = signature
    if signature.endswith(REST):
        expected = signature.removesuffix(REST) + ")"
        known = expected.count(",") + 1
        for parameter in parameters[known:]:
            assert parameter.default is not inspect.Parameter.empty, (
                f"{where} must not need '{parameter.name}', which this project does not give; the library changed it."
            )
        parameters = parameters[:known]

    now = str(inspect.Signature(parameters))
    assert now == expected, (
        f"{where} must have the signature {expected}, not {now}: the library changed it, so compare each override and "
        "call of ours with the new version."
    )
