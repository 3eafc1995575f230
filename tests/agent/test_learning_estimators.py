"""What the trained models expect of texts that are unlike any they were trained on."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

from uniwizard.agent.strategies.learning.estimators import ESTIMATORS, Given  # noqa: E402


def of_surface(*figures: float) -> Given:
    """Texts of one kind, each with a surface of two figures alike."""
    count = len(figures)
    surface = np.array([[figure, figure] for figure in figures])
    return Given(np.ones((count, 1)), np.ones(count), surface, np.zeros((count, 1)))


def test_a_surface_far_outside_of_a_kind_says_nothing_about_who_is_best() -> None:
    """The longer a text of the kind, the better the second model; nobody knows of texts ten times as long."""
    figures = np.linspace(-1.0, 1.0, 200)
    scores = np.stack([0.6 - 0.3 * figures, 0.5 + 0.3 * figures], axis=1)
    learned = ESTIMATORS["learned"]
    trained = learned.train(of_surface(*figures), scores)
    low, high, far, further = learned.predict(trained, of_surface(-0.8, 0.8, 10.0, 1000.0))
    assert low.argmax() == 0
    assert high.argmax() == 1
    assert far == pytest.approx(further)
    assert far == pytest.approx(scores.mean(0), abs=0.02)


def test_figures_of_an_older_file_are_read_without_a_range() -> None:
    figures = np.linspace(-1.0, 1.0, 50)
    scores = np.stack([0.6 - 0.3 * figures, 0.5 + 0.3 * figures], axis=1)
    learned = ESTIMATORS["learned"]
    trained = {
        name: value
        for name, value in learned.train(of_surface(*figures), scores).items()
        if name not in ("low", "high")
    }
    assert learned.predict(trained, of_surface(0.8))[0].argmax() == 1
