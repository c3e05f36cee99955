"""Published numbers against the averages that the papers print, and the layout beside measured ones."""

import pytest

from ray_iqa.evaluation.measure import Measurement
from ray_iqa.evaluation.suites import METRICS, lay_out, read_suite

PRINTED_AVERAGES = {  # method: (SRCC, PLCC)
    "visualquality-r1": {
        "NIQE": (0.482, 0.519),
        "BRISQUE": (0.431, 0.482),
        "UNIQUE": (0.598, 0.580),
        "MUSIQ": (0.477, 0.450),
        "MANIQA": (0.486, 0.522),
        "LIQE": (0.717, 0.709),
        "Q-Align": (0.632, 0.679),
        "DeQA-Score": (0.731, 0.772),
        "Qwen2.5-VL-7B": (0.708, 0.752),
        "Q-Insight": (0.766, 0.803),
        "Q-Insight †": (0.759, 0.793),
        "VisualQuality-R1": (0.777, 0.814),
        "VisualQuality-R1 †": (0.791, 0.831),
    },
    "rali": {
        "RALI": (0.779, 0.798),
        "Q-Insight": (0.783, 0.806),
        "VisualQuality-R1": (0.747, 0.768),
        "DeQA-Score": (0.765, 0.786),
        "Q-Align": (0.752, 0.759),
        "Compare2Score": (0.673, 0.706),
        "CLIP-IQA+": (0.720, 0.742),
        "MUSIQ": (0.707, 0.726),
        "MANIQA": (0.658, 0.681),
        "HyperIQA": (0.667, 0.693),
        "DBCNN": (0.645, 0.667),
    },
}


@pytest.mark.parametrize("name", ["visualquality-r1", "rali"])
def test_published_numbers_have_the_printed_averages(name: str) -> None:
    table = read_suite(name).tables[0]
    for place, metric in enumerate(METRICS):
        found = {method: sum(row) / len(row) for method, row in table.methods(metric).items()}
        expected = {method: averages[place] for method, averages in PRINTED_AVERAGES[name].items()}
        assert found == pytest.approx(expected, abs=0.0008)


@pytest.mark.parametrize("name", ["visualquality-r1", "rali"])
def test_every_row_has_every_column(name: str) -> None:
    for table in read_suite(name).tables:
        assert table.compared_with in table.srcc
        assert table.srcc.keys() == table.plcc.keys()
        for metric in METRICS:
            assert {len(row) for row in table.methods(metric).values()} == {len(table.columns)}


def measured(model: str, dataset: str, srcc: float, n: int = 5) -> Measurement:
    return Measurement(
        model=model,
        dataset=dataset,
        decoding="one pass",
        protocol="pooled",
        n=n,
        n_failed=0,
        n_ties=0,
        n_distinct=n,
        srcc=srcc,
        plcc=srcc - 0.1,
        plcc_mapped=srcc - 0.05,
    )


def test_measured_columns_stand_beside_published_ones() -> None:
    suite = read_suite("rali")
    names = [column.dataset for column in suite.tables[0].columns]
    found = [measured("mine", name, 0.9) for name in names] + [measured("other", "koniq10k", 0.5, n=4)]
    rank, linear, *_ = lay_out(suite, found, all_methods=False)
    assert rank.header == (
        "dataset",
        "images: paper",
        "measured",
        "RALI (published)",
        "mine (measured)",
        "difference to RALI",
        "other (measured)",
        "difference to RALI",
    )
    assert rank.rows[0] == ("KonIQ-10k, raw MOS", "2,010", "4 / 5", "0.922", "0.900", "-0.022", "0.500", "-0.422")
    assert rank.rows[1] == ("SPAQ", "?", "5", "0.897", "0.900", "+0.003", "-", "-")
    assert rank.rows[-1] == ("average", "", "", "0.779", "0.900", "+0.121", "-", "-")
    assert any("at second hand" in note or "third party" in note for note in rank.notes)
    assert linear.rows[0][3:7] == ("0.939", "0.800", "0.850", "-0.139")
    assert linear.header[3:7] == (
        "RALI (published)",
        "mine (measured)",
        "mine (measured, mapped)",
        "difference to RALI",
    )
    whole, mapped, *_ = lay_out(suite, found, all_methods=True)
    assert "DBCNN (published)" in whole.header
    assert {"DBCNN (published, mapped)", "VisualQuality-R1 (published)"} <= set(mapped.header)


def test_nothing_measured_is_no_number() -> None:
    table = lay_out(read_suite("visualquality-r1"), [measured("m", "mine", 0.9)], all_methods=False)[0]
    assert {row[-2:] for row in table.rows} == {("-", "-")}


def test_each_paper_is_compared_on_its_own_label_of_koniq() -> None:
    found = [measured("m", "koniq10k", 0.9), measured("m", "koniq10k-zscore", 0.8)]
    rali, ours = (lay_out(read_suite(name), found, all_methods=False)[0] for name in ("rali", "visualquality-r1"))
    [raw] = [row for row in rali.rows if "KonIQ-10k" in row[0]]
    [z_scored] = [row for row in ours.rows if "KonIQ-10k" in row[0]]
    assert (raw[0], raw[-2]) == ("KonIQ-10k, raw MOS", "0.900")
    assert (z_scored[0], z_scored[-2]) == ("KonIQ-10k, z-scored MOS", "0.800")
    assert any("koniq10k-zscore" in note for note in ours.notes)
