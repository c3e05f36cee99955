from ray_iqa.evaluation.records import PredictionRow


def rows_of(scores: list[float | None], mos: list[float], direction: str = "higher") -> list[PredictionRow]:
    return [
        PredictionRow(
            model="m",
            dataset="d",
            image_id=str(number),
            image_path=f"/{number}.png",
            mos=label,
            direction=direction,
            mos_low=0.0,
            mos_high=10.0,
            score=score,
            status="failed" if score is None else "ok",
        )
        for number, (score, label) in enumerate(zip(scores, mos, strict=True))
    ]
