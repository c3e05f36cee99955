"""The words for what is visibly wrong with a picture: its kind, and a coarse strength.

They name an attribute and pass no judgement: nothing here says whether blur is worse than noise, or
whether "very" is worse than "slightly".
"""

KIND_WORDS = {  # by kind of the distortion ladder
    "pristine": "clean",
    "gaussian_blur": "blurred",
    "motion_blur": "smeared",
    "white_noise": "noisy",
    "impulse_noise": "speckled",
    "jpeg": "blocky",
    "webp": "smudged",
    "nearest": "pixelated",
    "bicubic": "soft",
    "contrast": "flat",
    "overexposure": "bright",
    "underexposure": "dark",
    "colour_shift": "tinted",
    "desaturation": "pale",
    "banding": "banded",
}
STRENGTH_WORDS = {1: "slightly", 2: "slightly", 3: "clearly", 4: "very", 5: "very"}
OPENING = "looks"


def describe(kind: str, level: int) -> str:
    """The attribute sentence of a distortion ``kind`` at ``level`` 1-5; level 0 is the pristine picture."""
    if level == 0:
        return f"{OPENING} {KIND_WORDS['pristine']}"
    return f"{OPENING} {STRENGTH_WORDS[level]} {KIND_WORDS[kind]}"
