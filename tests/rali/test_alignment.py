"""Stage 1: the loss against its formula, groups, schedule, and many workers against one."""

import math
import tempfile
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from alignment_worker import CONFIG, new_module, pairs, worker
from torch import Tensor, nn

from ray_iqa.config.rali import AlignmentConfig
from ray_iqa.rali.fit.alignment import (
    Aligner,
    AlignmentBatch,
    AlignmentModule,
    contrastive_loss,
    parameter_groups,
)
from ray_iqa.rali.model.encoders import Clip, build_tower


def unit(seed: int, rows: int, width: int = 5) -> Tensor:
    return nn.functional.normalize(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_without_identical_texts_the_loss_is_that_of_clip() -> None:
    images, texts, scale = unit(0, 6), unit(1, 6), torch.tensor(14.0)
    theirs = open_clip.ClipLoss()(images, texts, scale)
    ours = contrastive_loss(images, texts, torch.arange(6), scale)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-6)


def test_identical_texts_share_the_target() -> None:
    """Images 0 and 2 have one text; written out with logarithms of sums of exponentials."""
    images, texts, scale = unit(0, 3), unit(1, 3), 3.0
    texts[2] = texts[0]
    logits = (scale * images @ texts.T).double().numpy()
    targets = np.array([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]])
    total = 0.0
    for table in (logits, logits.T):
        for i in range(3):
            normaliser = math.log(sum(math.exp(value) for value in table[i]))
            total += sum(q * (math.log(q) - table[i][j] + normaliser) for j, q in enumerate(targets[i]) if q > 0)
    ours = contrastive_loss(images, texts, torch.tensor([4, 9, 4]), torch.tensor(scale))
    assert float(ours) == pytest.approx(total / 6, rel=1e-5)


def test_loss_is_zero_when_all_texts_are_the_same() -> None:
    texts = unit(1, 1).expand(4, -1)
    assert float(contrastive_loss(texts, texts, torch.zeros(4), torch.tensor(50.0))) == pytest.approx(0, abs=1e-6)


def test_soft_targets_follow_the_similarity_of_texts() -> None:
    texts, scale = unit(1, 5), 20.0
    met = contrastive_loss(texts, texts, torch.arange(5), torch.tensor(scale), soft_temperature=1 / scale)
    assert float(met) == pytest.approx(0, abs=1e-6)  # the images' softmax is the target
    assert float(contrastive_loss(texts, texts, torch.arange(5), torch.tensor(scale), soft_temperature=1.0)) > 0.1


def test_learning_rates_fall_towards_the_input(small_clip: Clip) -> None:
    config = AlignmentConfig(learning_rate=1.0, projection_learning_rate=7.0, layer_decay=0.5, weight_decay=0.1)
    module = AlignmentModule(small_clip.image.tower)
    rate_of, decay_of = {}, {}
    groups = parameter_groups(module, config)
    for name, parameter in module.named_parameters():
        found = [group for group in groups if any(parameter is other for other in group["params"])]
        assert len(found) == 1
        rate_of[name], decay_of[name] = found[0]["lr"], found[0]["weight_decay"]
    assert rate_of["logit_scale"] == rate_of["tower.proj"] == 7.0
    assert [rate_of[f"tower.transformer.resblocks.{layer}.mlp.c_fc.weight"] for layer in (2, 1, 0)] == [1.0, 0.5, 0.25]
    assert rate_of["tower.ln_post.weight"] == 1.0
    assert rate_of["tower.conv1.weight"] == rate_of["tower.positional_embedding"] == 0.125
    assert decay_of["tower.proj"] == decay_of["tower.conv1.weight"] == 0.1
    assert decay_of["logit_scale"] == decay_of["tower.ln_post.bias"] == decay_of["tower.positional_embedding"] == 0.0


def test_logit_scale_never_exceeds_one_hundred() -> None:
    module = AlignmentModule(nn.Flatten())
    with torch.no_grad():
        module.logit_scale.fill_(9.0)
    assert float(module(torch.rand(1, 4))[1].detach()) == pytest.approx(100, rel=1e-6)


def test_schedule_rises_then_falls_to_zero_and_the_loss_falls() -> None:
    aligner = Aligner(new_module(), CONFIG, num_steps=40)
    batches = pairs(1, seed=0) * 40
    first = aligner.train_epoch(batches[:4])["loss"]
    assert aligner.state_dict()["optimizer"]["param_groups"][0]["lr"] == pytest.approx(1e-2 * 5 / 8)
    last = aligner.train_epoch(batches[4:])
    assert aligner.state_dict()["optimizer"]["param_groups"][0]["lr"] == pytest.approx(0, abs=1e-6)
    assert last["loss"] < 0.5 * first


def test_continued_training_equals_uninterrupted() -> None:
    batches = pairs(6, seed=1)
    whole, half, rest = new_module(), new_module(), new_module()
    Aligner(whole, CONFIG, num_steps=6).train_epoch(batches)
    interrupted = Aligner(half, CONFIG, num_steps=6)
    interrupted.train_epoch(batches[:3])
    resumed = Aligner(rest, CONFIG, num_steps=6)
    rest.load_state_dict(half.state_dict())
    resumed.load_state_dict(interrupted.state_dict())
    resumed.train_epoch(batches[3:])
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, rest.state_dict()[name]), name


def test_two_workers_with_global_negatives_learn_what_one_learns() -> None:
    alone = new_module()
    expected = Aligner(alone, CONFIG, num_steps=3).train_epoch(pairs(3, seed=2))
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(worker, (folder,), nprocs=2)
        results = [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for figures, state in results:
        assert figures == pytest.approx(expected, rel=1e-4)
        for name, tensor in alone.state_dict().items():
            torch.testing.assert_close(state[name], tensor, rtol=1e-3, atol=1e-5)


def test_only_tower_and_scale_change(small_clip: Clip) -> None:
    tower = build_tower(small_clip.image.architecture)
    before = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
    text = {name: t.clone() for name, t in small_clip.model.state_dict().items() if not name.startswith("visual.")}
    vectors = torch.from_numpy(small_clip.text.embeddings(["looks clean", "looks very noisy"]))
    batch = AlignmentBatch(pixels=torch.rand(2, 3, 56, 56), texts=vectors, text_ids=torch.arange(2))
    Aligner(AlignmentModule(tower), AlignmentConfig(), num_steps=1).train_epoch([batch])
    assert all(not torch.equal(before[name], tensor) for name, tensor in tower.state_dict().items())
    assert all(torch.equal(text[name], small_clip.model.state_dict()[name]) for name in text)
