"""The checklist itself: complete, covered by tests, in step with the file that chapters read."""

from __future__ import annotations

import json
from pathlib import Path

from tests.checklist import CORE, DATA, RULES, claims, odometer, table


def test_the_checklist_has_86_rules() -> None:
    assert list(RULES) == list(range(1, 87))
    assert {rule.chapter for rule in RULES.values()} == {1, 2, 3, 5, 6}
    assert all(rule.text and rule.section[:4] in ("6455", "7692") for rule in RULES.values())


def test_every_rule_of_the_core_has_a_test() -> None:
    claimed = claims()
    missing = [n for n, rule in RULES.items() if rule.chapter in CORE and not claimed.get(n)]
    assert missing == []


def test_no_test_claims_a_rule_that_is_not_there() -> None:
    assert set(claims()) <= set(RULES)


def test_every_claim_names_a_test_that_exists() -> None:
    root = Path(__file__).resolve().parent
    for tests in claims().values():
        for test in tests:
            file, *names = test.split("::")
            source = (root.parent / file).read_text(encoding="utf-8")
            assert f"def {names[-1]}(" in source


def test_rules_json_is_in_step() -> None:
    text = DATA.read_text(encoding="utf-8")
    assert text == table(), "mend with: python -m tests.checklist --write"


def test_odometer_counts_rules_that_are_kept_and_tested(tmp_path: Path) -> None:
    data = tmp_path / "rules.json"
    rules = [{"chapter": 1, "tests": ["t"]}, {"chapter": 2, "tests": ["t"]}]
    rules += [{"chapter": 2, "tests": []}, {"chapter": 5, "tests": ["t"]}]
    data.write_text(json.dumps({"rules": rules}), encoding="utf-8")
    assert [odometer(chapter, data) for chapter in (0, 1, 2, 5)] == [(0, 4), (1, 4), (2, 4), (3, 4)]


def test_odometer_never_runs_backwards() -> None:
    counts = [odometer(chapter)[0] for chapter in range(14)]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[3] == sum(rule.chapter in CORE for rule in RULES.values())
