#!/usr/bin/env python3
"""A small SentencePiece model and the ids that the sentencepiece library itself gives for some texts.

  make_sentencepiece_golden.py [FILE]    writes FILE (default: sentencepiece.json beside this script)

The model is trained as Llama 2's was (BPE, digits split, byte fallback, a space before every text) on this folder's
scripts. Types are GGUF's: 1 normal, 2 unknown, 3 control, 6 byte.

Needs: pip install sentencepiece
"""
import io
import json
import sys
from pathlib import Path

import sentencepiece

HERE = Path(__file__).parent
TEXTS = ["the weights of the model", " two  spaces and\ta tab", "naïve café 你好 1234", "a\nb\n\n  c", "", "aaaaaaaaaaa",
         "tokenizertokenizer.tokenizer_json"]


def main() -> None:
    model = io.BytesIO()
    lines = [line for path in sorted(HERE.glob("*.py")) for line in path.read_text().splitlines() if line.strip()]
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, vocab_size=700,
                                             model_type="bpe", byte_fallback=True, split_digits=True,
                                             character_coverage=0.999, normalization_rule_name="identity",
                                             remove_extra_whitespaces=False, add_dummy_prefix=True,
                                             minloglevel=2)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    count = processor.get_piece_size()
    types = [2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 6 if processor.is_byte(i) else 1
             for i in range(count)]
    golden = {"sentencepiece": sentencepiece.__version__, "pieces": [processor.id_to_piece(i) for i in range(count)],
              "scores": [processor.get_score(i) for i in range(count)], "types": types,
              "texts": [{"text": text, "ids": processor.encode(text)} for text in TEXTS]}
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "sentencepiece.json"
    path.write_text(json.dumps(golden) + "\n")
    print(count, "pieces", [len(entry["ids"]) for entry in golden["texts"]])


if __name__ == "__main__":
    main()
