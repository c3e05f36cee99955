"""The reward of Q-Insight's second question (arXiv 2503.22679): .25 for the kind, .75 more for the level too."""

import json
import re

import numpy as np

KINDS = {"noise": "noise", "jpeg": "compression", "blur": "blur", "dark": "darken"}  # what manifests call them
LEVELS = ("null", "slight", "moderate", "obvious", "serious", "catastrophic")


def degradation(step):
    return np.array(
        [
            [_reward(answer, image) for answer in answers]
            for answers, image in zip(step.answers, step.images, strict=True)
        ]
    )


def _reward(answer, image):
    found = re.search(r"<answer>(.*)</answer>", answer, re.DOTALL)
    try:
        said = json.loads(found[1])
        kind, level = said["distortion_class"], said["severity"]
    except (TypeError, ValueError, KeyError):
        return 0.0
    names = [kind for name, kind in KINDS.items() if image.level and name in (image.distortion or "")]
    if kind != (names or ["null"])[0]:
        return 0.0
    return 1.0 if level == LEVELS[image.level or 0] else 0.25
