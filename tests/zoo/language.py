"""The networks that transformers has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .libraries import language
from .network import Case, Inputs, Network

_WORDS = 61
"""Words in the vocabulary of a quick case."""

_PADDED = 1
"""Behind the lengths of a text: with the inputs that may be left out."""


def _text(batch: int, length: int) -> Tensor:
    return torch.randint(_WORDS, (batch, length))


def _padded(batch: int, length: int) -> Tensor:
    """A mask of texts of several lengths: 1 for a word, 0 for what fills up."""
    lengths = torch.randint(1, length + 1, (batch, 1))
    return (torch.arange(length) < lengths).long()


def words(batch: int, length: int) -> Inputs:
    """A text."""
    return {"input_ids": _text(batch, length)}


def sentences(batch: int, length: int, *padded: int) -> Inputs:
    """A text; or, padded, two sentences one after the other."""
    kinds = (torch.arange(length) >= length // 2).long().expand(batch, length)
    more = {"attention_mask": _padded(batch, length), "token_type_ids": kinds} if padded else {}
    return {"input_ids": _text(batch, length), **more}


def translation(batch: int, length: int, written: int, *padded: int) -> Inputs:
    """A text, which may be padded, and what is written so far."""
    more = {"attention_mask": _padded(batch, length)} if padded else {}
    return {"input_ids": _text(batch, length), "decoder_input_ids": _text(batch, written), **more}


def speech(batch: int, bins: int, frames: int, written: int) -> Inputs:
    """A spectrogram, and what is written so far."""
    return {"input_features": torch.randn(batch, bins, frames), "decoder_input_ids": _text(batch, written)}


def picture(batch: int, height: int, width: int) -> Inputs:
    """A colour image."""
    return {"pixel_values": torch.randn(batch, 3, height, width)}


def captions(batch: int, length: int, height: int, width: int) -> Inputs:
    """Images, and one more text than these, each with an end somewhere."""
    texts = _text(batch + 1, length) % (_WORDS - 1)
    texts[torch.arange(batch + 1), torch.randint(length, (batch + 1,))] = _WORDS - 1
    return {"input_ids": texts, "pixel_values": torch.randn(batch, 3, height, width)}


def together(original: nn.Module, inputs: Inputs) -> Any:
    """Call an original that generates nothing as transformers wants it."""
    return original(**inputs)


def by_name(original: nn.Module, inputs: Inputs) -> Any:
    """Call an original as transformers wants it, without what speeds generation up."""
    return original(**inputs, use_cache=False)


def _only(*names: str) -> Any:
    def chosen(result: Any) -> list[Tensor]:
        return [result[name] for name in names]

    return chosen


_GPT2 = {"vocab_size": _WORDS, "n_positions": 24, "n_embd": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.2}
_BERT = {
    "vocab_size": _WORDS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 24,
    "initializer_range": 0.2,
}
_LLAMA = {
    "vocab_size": _WORDS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "initializer_range": 0.2,
}
_LLAMA_WIDE = {"hidden_size": 512, "num_hidden_layers": 4, "num_key_value_heads": 8, "intermediate_size": 1376}
_T5 = {
    "vocab_size": _WORDS,
    "d_model": 32,
    "d_kv": 6,
    "d_ff": 48,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
}
_WHISPER = {
    "vocab_size": _WORDS,
    "num_mel_bins": 8,
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 40,
    "max_source_positions": 12,
    "max_target_positions": 24,
    "init_std": 0.2,
}
_VIT = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "initializer_range": 0.2,
}
_CLIP = {
    "projection_dim": 20,
    "vocab_size": _WORDS,
    "eos_token_id": _WORDS - 1,
    "max_position_embeddings": 24,
    "image_size": 32,
    "patch_size": 8,
    "text_width": 32,
    "text_layers": 2,
    "text_heads": 4,
    "text_hidden": 48,
    "vision_width": 24,
    "vision_layers": 2,
    "vision_heads": 2,
    "vision_hidden": 40,
}
_CLIP_TEXT = {
    "vocab_size": _WORDS,
    "eos_token_id": _WORDS - 1,
    "max_position_embeddings": 24,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
_CLIP_VISION = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 40,
}
_ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}

NETWORKS: tuple[Network, ...] = (
    Network(
        name="gpt2",
        starts=True,
        needs="transformers",
        inputs=words,
        call=by_name,
        outputs=_only("logits"),
        cases=(
            Case(
                original=language(
                    "GPT2LMHeadModel",
                    config="GPT2Config",
                    embd_pdrop=0.0,
                    resid_pdrop=0.0,
                    attn_pdrop=0.0,
                    **_GPT2,
                    **_ENDS,
                ),
                hyperparameters={**_GPT2, "dropout": 0},
                sizes=((5,), (24,)),
            ),
            Case(
                original=language("GPT2LMHeadModel", config="GPT2Config"),
                sizes=((7,), (40,)),
                train=False,
                quick=False,
            ),
        ),
    ),
    Network(
        name="bert",  # its padding starts at zero, and one initialiser for all embeddings leaves nothing out
        needs="transformers",
        inputs=sentences,
        call=by_name,
        outputs=_only("prediction_logits", "seq_relationship_logits"),
        cases=(
            Case(
                original=language(
                    "BertForPreTraining",
                    config="BertConfig",
                    hidden_dropout_prob=0.0,
                    attention_probs_dropout_prob=0.0,
                    **_BERT,
                ),
                hyperparameters={**_BERT, "dropout": 0},
                sizes=((5, _PADDED), (24, _PADDED), (7,)),
            ),
            Case(
                original=language("BertForPreTraining", config="BertConfig"),
                sizes=((7,), (40, _PADDED)),
                train=False,
                quick=False,
            ),
        ),
    ),
    Network(
        name="llama",
        starts=True,
        needs="transformers",
        inputs=words,
        call=by_name,
        outputs=_only("logits"),
        cases=(
            Case(
                original=language("LlamaForCausalLM", config="LlamaConfig", rms_norm_eps=1e-5, **_LLAMA),
                hyperparameters=_LLAMA,
                sizes=((5,), (24,)),
            ),
            Case(
                original=language("LlamaForCausalLM", config="LlamaConfig", rms_norm_eps=1e-5, **_LLAMA_WIDE),
                hyperparameters=_LLAMA_WIDE,
                sizes=((7,), (130,)),
                quick=False,
            ),
        ),
    ),
    Network(
        name="t5",
        starts=True,
        needs="transformers",
        inputs=translation,
        call=by_name,
        outputs=_only("logits"),
        cases=(
            Case(
                original=language(
                    "T5ForConditionalGeneration",
                    config="T5Config",
                    relative_attention_num_buckets=12,
                    relative_attention_max_distance=20,
                    dropout_rate=0.0,
                    **_T5,
                ),
                hyperparameters={**_T5, "num_buckets": 12, "max_distance": 20, "dropout": 0},
                sizes=((5, 7, _PADDED), (40, 30, _PADDED), (7, 5)),
            ),
            Case(
                original=language(
                    "T5ForConditionalGeneration",
                    config="T5Config",
                    feed_forward_proj="gated-gelu",
                    tie_word_embeddings=False,
                    dropout_rate=0.0,
                    **_T5,
                ),
                hyperparameters={**_T5, "gated": True, "scale_decoder_outputs": False, "dropout": 0},
                sizes=((3, 4), (20, 9, _PADDED)),
            ),
            Case(
                original=language("T5ForConditionalGeneration", config="T5Config"),
                sizes=((7, 9), (40, 5, _PADDED)),
                train=False,
                quick=False,
            ),
        ),
    ),
    Network(
        name="whisper",
        starts=True,
        needs="transformers",
        inputs=speech,
        call=by_name,
        outputs=_only("logits"),
        cases=(
            Case(
                original=language("WhisperForConditionalGeneration", config="WhisperConfig", **_WHISPER, **_ENDS),
                hyperparameters={**_WHISPER, "pad_token_id": 0},
                sizes=((8, 24, 5), (8, 24, 24)),
            ),
            Case(
                original=language("WhisperForConditionalGeneration", config="WhisperConfig"),
                sizes=((80, 3000, 5), (80, 3000, 12)),
                batches=(1, 2),
                train_batch=1,
                quick=False,
            ),
        ),
    ),
    Network(
        name="vit",
        starts=True,
        needs="transformers",
        inputs=picture,
        call=by_name,
        outputs=_only("logits"),
        cases=(
            Case(
                original=language("ViTForImageClassification", config="ViTConfig", num_labels=7, **_VIT),
                hyperparameters={**_VIT, "num_labels": 7},
                sizes=((32, 32),),
            ),
            Case(
                original=language("ViTForImageClassification", config="ViTConfig", **{**_VIT, "image_size": 48}),
                hyperparameters={**_VIT, "image_size": 48, "num_labels": 2},
                sizes=((48, 48),),
            ),
            Case(
                original=language("ViTForImageClassification", config="ViTConfig", num_labels=1000),
                sizes=((224, 224),),
                batches=(1, 2),
                quick=False,
            ),
            Case(
                original=language(
                    "ViTForImageClassification", config="ViTConfig", num_labels=1000, image_size=160, patch_size=32
                ),
                hyperparameters={"image_size": 160, "patch_size": 32},
                sizes=((160, 160),),
                batches=(1, 2),
                quick=False,
            ),
        ),
    ),
    Network(
        name="clip",
        needs="transformers",
        inputs=captions,
        call=together,
        outputs=_only("logits_per_image", "logits_per_text", "text_embeds", "image_embeds"),
        cases=(
            Case(
                original=language(
                    "CLIPModel",
                    config="CLIPConfig",
                    projection_dim=20,
                    text_config=_CLIP_TEXT,
                    vision_config=_CLIP_VISION,
                ),
                hyperparameters=_CLIP,
                sizes=((5, 32, 32), (24, 32, 32)),
            ),
            Case(
                original=language("CLIPModel", config="CLIPConfig", text_config={"eos_token_id": _WORDS - 1}),
                hyperparameters={"eos_token_id": _WORDS - 1},
                sizes=((7, 224, 224), (77, 224, 224)),
                batches=(1, 2),
                train_batch=2,
                quick=False,
            ),
        ),
    ),
)
