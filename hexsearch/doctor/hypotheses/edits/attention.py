"""Edits of attention: axes and scores of softmax, and masks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.doctor.hypotheses.edits.edit import Edit, Function, named_functions, replacing


def attention_edits() -> Iterator[Edit]:
    """Other axes and scores of softmax, and other masks."""
    yield Edit(
        "softmax",
        "each softmax over the axis before the last",
        "a softmax inside the network runs over another axis than in training (its `dim`)",
        "give the softmax the axis of training",
        partial(replacing, _softmaxes()),
    )
    yield from _score_edits()
    yield Edit(
        "inverted masks",
        "True and False of attention masks exchanged",
        "the mask of the attention is inverted: True means that attention is allowed in "
        "scaled_dot_product_attention, and that it is NOT allowed in nn.MultiheadAttention",
        "give the mask in the sense of the function that is called (~mask)",
        partial(replacing, _other_masks()),
    )
    yield Edit(
        "masks",
        "no masks of cells or of attention",
        "a mask hides cells or tokens that training saw (a causal mask, a mask of padding, or one "
        "that is inverted)",
        "mask as in training; a board has no order, so no causal mask",
        partial(replacing, _unmasked()),
    )


def _score_edits() -> Iterator[Edit]:
    for width in (2, 4, 8, 16, 32, 64):
        for words, factor in (("divided", width**-0.5), ("multiplied", width**0.5)):
            yield Edit(
                "attention scores",
                f"the scores of each attention {words} by the root of {width}",
                "the scores of attention are scaled otherwise than in training (the root of the "
                f"width of a head, left out or applied twice): the answers are right {words} by "
                f"the root of {width}",
                "scale queries times keys by the root of the width of a head, once",
                partial(replacing, _sharper(factor)),
            )


def _softmaxes() -> dict[Function, Function]:
    def other(original: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        dim = args[0] if args else kwargs.get("dim", -1)
        if x.ndim < 3:
            return original(x, *args, **kwargs)
        return torch.softmax(x, -2 if dim in (-1, x.ndim - 1) else -1)

    return {each: partial(other, each) for each in named_functions(("softmax",))}


def _sharper(factor: float) -> dict[Function, Function]:
    """Softmaxes of scores (queries by keys), and torch's own attention, with scaled scores."""
    attention: Function = functional.scaled_dot_product_attention

    def other(original: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        is_square = x.ndim >= 3 and x.shape[-1] == x.shape[-2]
        return original(x * factor if is_square else x, *args, **kwargs)

    def scaled(q: Tensor, *args: Any, **kwargs: Any) -> Any:
        return attention(q * factor, *args, **kwargs)

    return {each: partial(other, each) for each in named_functions(("softmax",))} | {
        attention: scaled
    }


def _unmasked() -> dict[Function, Function]:
    attention: Function = functional.scaled_dot_product_attention
    whole: Function = functional.multi_head_attention_forward

    def alone(q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> Any:
        return attention(q, k, v, scale=kwargs.get("scale"))

    def without(*args: Any, **kwargs: Any) -> Any:
        return whole(
            *args, **{**kwargs, "attn_mask": None, "key_padding_mask": None, "is_causal": False}
        )

    def filled(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return x

    table: dict[Function, Function] = dict.fromkeys(
        named_functions(("masked_fill", "masked_fill_")), filled
    )
    return table | {attention: alone, whole: without}


def _other_masks() -> dict[Function, Function]:
    attention: Function = functional.scaled_dot_product_attention

    def other(q: Tensor, k: Tensor, v: Tensor, mask: Any = None, *args: Any, **named: Any) -> Any:
        mask = named.pop("attn_mask", mask)
        if isinstance(mask, Tensor) and mask.dtype == torch.bool:
            mask = ~mask
        return attention(q, k, v, mask, *args, **named)

    def filled(original: Function, x: Tensor, mask: Tensor, *args: Any, **kwargs: Any) -> Any:
        return original(x, ~mask, *args, **kwargs)

    fills = {f: partial(filled, f) for f in named_functions(("masked_fill", "masked_fill_"))}
    return fills | {attention: other}
