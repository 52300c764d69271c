"""Sentences as the three inputs that BERT-like models take."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

LENGTH = 32
TOKEN = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")
"""what BERT's pre-tokeniser makes of lower-case ASCII: runs of letters and digits, and every sign by itself"""


class WordPiece:
    """BERT's tokeniser of English: the longest piece of the vocabulary first; an unknown word is one [UNK]."""

    def __init__(self, tokenizer: Path) -> None:
        self.vocabulary: dict[str, int] = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]

    def ids(self, sentence: str) -> list[int]:
        """[CLS] pieces [SEP]; only ASCII, for which no accent has to be taken off."""
        if not sentence.isascii():
            raise ValueError(f"{sentence!r} is not ASCII")
        pieces = [piece for word in TOKEN.findall(sentence.lower()) for piece in self.pieces(word)]
        return [self.vocabulary[piece] for piece in ("[CLS]", *pieces, "[SEP]")]

    def pieces(self, word: str) -> list[str]:
        found: list[str] = []
        while word:
            prefix = "##" if found else ""
            length = next((n for n in range(len(word), 0, -1) if prefix + word[:n] in self.vocabulary), 0)
            if not length:
                return ["[UNK]"]
            found.append(prefix + word[:length])
            word = word[length:]
        return found


def write_sentences(tokenizer: Path, sentences: Path, out: Path) -> None:
    """int64 [1, 32] under out/PART/INPUT/, and out/labels.json: which sentence says the same as which."""
    pieces = WordPiece(tokenizer)
    lines = [line for line in sentences.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    alone = [line for line in lines if "\t" not in line]
    pairs = [line.split("\t") for line in lines if "\t" in line]
    for index, sentence in enumerate(alone):
        write_inputs(pieces.ids(sentence), out / "calibration", f"sentence_{index:02}")
    labels = {}
    for index, pair in enumerate(pairs):
        names = [f"pair_{index:02}_{side}" for side in "ab"]
        for name, sentence, other in zip(names, pair, reversed(names), strict=True):
            write_inputs(pieces.ids(sentence), out / "evaluation", name)
            labels[name] = other
    (out / "labels.json").write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")


def write_inputs(ids: list[int], folder: Path, name: str) -> None:
    if len(ids) > LENGTH:
        raise ValueError(f"{name} has {len(ids)} pieces, more than {LENGTH}")
    padding = [0] * (LENGTH - len(ids))
    inputs = {
        "input_ids": [*ids, *padding],
        "attention_mask": [*[1] * len(ids), *padding],
        "token_type_ids": [0] * LENGTH,
    }
    for tensor, values in inputs.items():
        (folder / tensor).mkdir(parents=True, exist_ok=True)
        np.save(folder / tensor / f"{name}.npy", np.array([values], dtype=np.int64), allow_pickle=False)
