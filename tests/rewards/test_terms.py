"""Terms of the reward: a file's function, its mistakes, and answers to a second question."""

from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from ray_iqa.answers.prompt import prompt_by_id, questions_of
from ray_iqa.config.load import load_config
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.reward import RewardConfig
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import ConfigError
from ray_iqa.rewards.scorer import GroupRewardScorer
from ray_iqa.rewards.terms import load_terms
from ray_iqa.types import Completion, LabelledImage, RolloutGroup

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SCORE = "<think>a</think><answer>{}</answer>"
LABEL = '<think>\na\n</think>\n<answer>\n{{"distortion_class": "{}", "severity": "{}"}}\n</answer>'


def group(texts: list[str], mos: float, question: str | None = None, lengths: tuple[int, ...] = (4, 4)) -> RolloutGroup:
    image = LabelledImage(
        image_id=str(mos),
        image_path="i.png",
        dataset="d",
        mos=mos,
        mos_std=None,
        higher_is_better=True,
        distortion="gaussian_blur",
        level=3,
        question=question,
    )
    completions = tuple(
        Completion(
            token_ids=np.zeros(length, np.int32),
            logprobs=np.zeros(length, np.float32),
            text=text,
            finish_reason="abort" if not text else "stop",
        )
        for text, length in zip(texts, lengths, strict=True)
    )
    return RolloutGroup(image=image, prompt_token_ids=np.zeros(3, np.int32), completions=completions, policy_version=0)


def rank_groups() -> list[RolloutGroup]:
    texts = [SCORE.format(3.8), SCORE.format(3.9)]
    return [group(texts, 3.8, lengths=(12, 20)), group([SCORE.format(2.0), SCORE.format(2.1)], 2.0, lengths=(24, 40))]


def scorer(settings: dict[str, object], policy: PolicyConfig | None = None) -> GroupRewardScorer:
    prompts = {None: prompt_by_id("thinking")} if policy is None else questions_of(policy)
    return GroupRewardScorer(RewardConfig.model_validate(settings), prompts)


def test_a_function_in_a_file_is_one_summand() -> None:
    terms = [{"term": "fidelity"}, {"term": f"{EXAMPLES}/length_penalty.py:length_penalty", "weight": 0.5}]
    table = scorer({"terms": terms}).score(rank_groups())
    penalty = np.array([[0, -0.5], [-1, -1]])  # 12, 20, 24 and 40 tokens
    np.testing.assert_allclose(table.terms["length_penalty"], penalty)
    np.testing.assert_allclose(table.rewards, table.terms["fidelity"] + 0.5 * penalty, atol=1e-6)


def test_the_function_travels_to_processes_that_do_not_have_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    code = "import numpy as np\nFACTOR = 2\ndef double(step):\n    return FACTOR * np.ones_like(step.scores)\n"
    file.write_text(code)
    config = RewardConfig(terms=[{"term": f"{file}:double"}])
    terms = cloudpickle.loads(cloudpickle.dumps(load_terms(config, {})))
    file.unlink()
    table = GroupRewardScorer(config, {None: prompt_by_id("thinking")}, terms=terms).score(rank_groups())
    assert table.rewards.tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("return step.scores[0]", r"must return a finite number for each of the 2 x 2 answers.*got shape \(2,\)"),
        ("return step.scores * float('nan')", "must return a finite number.*got nan"),
        ("return [['a', 'b']]", "ended with ValueError: could not convert string to float"),
        ("return step.nothing", r"ended with AttributeError: .*nothing.*mine\.py line 2"),
    ],
)
def test_a_mistake_in_a_function_names_it(tmp_path: Path, code: str, sentence: str) -> None:
    (tmp_path / "mine.py").write_text(f"def mine(step):\n    {code}\n")
    with pytest.raises(ConfigError, match=f"the reward term .*mine.py:mine {sentence}"):
        scorer({"terms": [{"term": f"{tmp_path}/mine.py:mine"}]}).score(rank_groups())


@pytest.mark.parametrize(
    ("term", "sentence"),
    [
        ("fidelty", "or one of fidelity, .*got 'fidelty', did you mean 'fidelity'"),
        ("nowhere.py:f", "nowhere.py:f cannot be loaded: FileNotFoundError"),
        ("no.such.package:f", "cannot be loaded: ModuleNotFoundError"),
        ("math:tau", "must be a function, math has none of that name"),
        (f"{EXAMPLES}/degradation.py:reward", "must be a function"),
    ],
)
def test_a_term_that_is_not_there_is_refused_when_it_is_loaded(term: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_terms(RewardConfig(terms=[{"term": term}]), {})


def test_a_second_question_has_its_own_reward() -> None:
    policy = PolicyConfig(model="m", questions={"kind": str(EXAMPLES / "degradation.yaml")})
    terms = [
        {"term": "fidelity"},
        {"term": "format"},
        {"term": f"{EXAMPLES}/degradation.py:degradation", "question": "kind"},
        {"term": "format", "question": "kind", "weight": 0.1},
    ]
    blurred, noisy = [LABEL.format("blur", level) for level in ("obvious", "slight")], LABEL.format("noise", "obvious")
    answers = [blurred, [noisy, ""]]
    groups = [*rank_groups(), *(group(texts, mos, "kind") for texts, mos in zip(answers, (3.8, 2.0), strict=True))]
    table = scorer({"terms": terms}, policy).score(groups)
    np.testing.assert_allclose(table.rewards[2:], [[1.1, 0.35], [0.1, 0]], atol=1e-6)
    alone = scorer({}).score(rank_groups())
    np.testing.assert_array_equal(table.rewards[:2], alone.rewards)
    assert (table.num_pairs, table.mean_label_gap) == (alone.num_pairs, alone.mean_label_gap)
    assert np.isnan(table.terms["fidelity"][2:]).all()
    assert np.isnan(table.terms["kind_format"][:2]).all()
    assert table.opposed.all()
    assert table.trainable.tolist() == [[True, True]] * 3 + [[True, False]]


def test_a_prompt_of_ones_own_is_part_of_the_settings(tmp_path: Path) -> None:
    """So it travels with them, and a run that is resumed with another text is refused."""
    file = tmp_path / "mine.yaml"
    file.write_text("text: How good is it, from 0 to 100?\nsystem: null\nasks_reasoning: false\nscale: [0, 100]\n")
    config = load_config(TrainConfig, "configs/train/kadid.yaml", [f"policy.prompt={file}"])
    file.unlink()
    prompt = prompt_by_id(config.policy.prompt)
    assert prompt.messages == [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How good is it, from 0 to 100?"}]}
    ]
    assert (prompt.scale.minimum, prompt.scale.maximum) == (0, 100)
    assert prompt.id.startswith("own-")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tex: x\n", "unknown key .*tex.*did you mean 'text'"),
        ("text: x\nscale: [5, 1]\n", "scale must be two rising numbers"),
        ("- a\n", "must hold a mapping"),
    ],
)
def test_a_bad_prompt_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        load_config(TrainConfig, "configs/train/kadid.yaml", [f"policy.prompt={tmp_path / 'mine.yaml'}"])


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("reward.terms=[{term: fidelity, question: kind}]", "it has no 'kind'"),
        ("reward.terms=[{term: format}, {term: format}]", "must have a name of its own, got format twice"),
    ],
)
def test_questions_and_terms_must_fit_together(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_config(TrainConfig, "configs/train/kadid.yaml", [override])
