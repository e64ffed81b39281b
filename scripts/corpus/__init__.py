"""A corpus of good and bad dossiers, each named by its defect, made from seeds and never checked in as files.

The rules:

* `all_cases` makes every case from names and numbers alone. What is drawn at signing is ML-DSA alone, and only the
  cases that are about it sign with it: every other dossier has the same bytes in every run of one tree.
* A bad dossier has one defect, and is otherwise as lawful as its defect allows: where the format has a signature or a
  hash over the place, the operator has made that anew, so that the check which a case is about is what finds it.
* What is expected of each stands in `expectations.tsv`: outcome, and of a broken one the check and the reason. The
  product, verify.py and the page are held to it.

`python -m corpus FOLDER` writes the files, the anchors and `expectations.json`; `python -m corpus --write` makes the
table anew out of what the product says, for a reviewer to read the difference.
"""

from corpus.cases import Case, Expectation, all_cases, cases_of, expectations
from corpus.verdicts import Verdict, product_says, verify_py_report, verify_py_says
from corpus.writing import write_corpus

__all__ = [
    "Case",
    "Expectation",
    "Verdict",
    "all_cases",
    "cases_of",
    "expectations",
    "product_says",
    "verify_py_report",
    "verify_py_says",
    "write_corpus",
]
