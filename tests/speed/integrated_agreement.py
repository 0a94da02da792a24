"""Six studies fitted twice, with effects integrated out and with everything sampled: do all parameters and effects agree?

    python tests/speed/integrated_agreement.py

Every candidate of config/studies with group effects that can be integrated out, and a meta-analysis of three levels
(`fixtures.agreement`). Writes tests/speed/results/integrated_agreement.json and prints it as a table: for each candidate, how
many posterior means were compared and the largest difference in combined Monte Carlo standard errors (4 is the limit), with
seconds (compiling included) and the smallest bulk effective sample size of either way. Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "tests")]
RESULT = Path(__file__).parent / "results" / "integrated_agreement.json"
SAMPLER = {"chains": 4, "draws": 2000, "tune": 1000, "target_accept": 0.9, "max_treedepth": 10}
LIMIT = 4.0
COLUMNS = ("study", "model", "compared", "largest", "where", "seconds", "seconds_sampled", "ess", "ess_sampled")


def main() -> None:
    """Fit, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="*", help="only these")
    chosen = parser.parse_args()
    from fixtures import agreement

    from multilevel.provenance import STACK, versions

    print(" | ".join(COLUMNS))
    rows = []
    for study, model in agreement.candidates():
        if chosen.studies and study not in chosen.studies:
            continue
        rows.append(compared(study, model))
        print(" | ".join(str(rows[-1][name]) for name in COLUMNS), flush=True)
    worst = max(row["largest"] for row in rows)
    count = sum(row["compared"] for row in rows)
    print(f"{count} posterior means; largest difference {worst} combined standard errors, limit {LIMIT:g}")
    if not chosen.studies:
        RESULT.parent.mkdir(exist_ok=True)
        command = "python tests/speed/integrated_agreement.py"
        stored = {
            "command": command,
            "sampler": SAMPLER,
            "versions": versions(STACK),
            "limit": LIMIT,
            "candidates": rows,
        }
        RESULT.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    sys.exit(worst > LIMIT)


def compared(study: str, model: str) -> dict[str, Any]:
    """Fit one candidate both ways and return a row of the table."""
    import numpy as np
    from fixtures import agreement

    of = agreement.candidate(study, model)
    ours, plain = (agreement.summary(method, of, SAMPLER) for method in ("integrated", "sampled"))
    assert list(ours.table["parameter"]) == list(plain.table["parameter"])
    error = np.hypot(ours.table["mcse_mean"], plain.table["mcse_mean"])
    z = ((ours.table["mean"] - plain.table["mean"]) / error).abs().to_numpy()
    assert np.isfinite(z).all()
    return {
        "study": study,
        "model": model,
        "compared": len(z),
        "largest": round(float(z.max()), 2),
        "where": str(ours.table["parameter"].iloc[int(z.argmax())]),
        "seconds": round(ours.seconds, 1),
        "seconds_sampled": round(plain.seconds, 1),
        "ess": round(ours.least),
        "ess_sampled": round(plain.least),
        "divergences": ours.divergences,
        "divergences_sampled": plain.divergences,
    }


if __name__ == "__main__":
    main()
