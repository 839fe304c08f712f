"""Loading weights strictly: keys and shapes are compared before a byte is copied."""

from collections.abc import Mapping

from torch import Tensor, nn

from SAMI2ILib.errors import ModelError

NAMED_IN_MESSAGE = 3


def load_strictly(
    module: nn.Module, tensors: Mapping[str, Tensor], what: str, hint: str = ""
) -> None:
    """Copy weights into a module, all of them or none.

    Args:
        module: Takes the weights; each is cast to the parameter's dtype, so that weights stored
            as float16 may be given.
        tensors: One tensor per entry of the module's state, under its name.
        what: What the weights are, for the message, e.g. "decoder".
        hint: What the caller knows about the cause or the cure, for the message.

    Raises:
        ModelError: A tensor is missing, unexpected or of another shape; the module is unchanged.
    """
    if problems := list_differences(module, tensors):
        raise ModelError(f"The {what} weights do not fit: {problems}.", hint)
    module.load_state_dict(dict(tensors), strict=True)


def list_differences(module: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Say in half a sentence how tensors differ from a module's state.

    Args:
        module: Whose names and shapes are expected.
        tensors: The tensors found.

    Returns:
        What is missing, unexpected and of another shape, with the first names; "" if all fit.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    reshaped = [
        f"{name} is {found[name]} instead of {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    groups = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": reshaped,
    }
    return "; ".join(
        f"{len(names)} {label} ({_first(names)})" for label, names in groups.items() if names
    )


def _first(entries: list[str]) -> str:
    """Join the first entries and mark that there are more."""
    more = ", ..." if len(entries) > NAMED_IN_MESSAGE else ""
    return ", ".join(entries[:NAMED_IN_MESSAGE]) + more
