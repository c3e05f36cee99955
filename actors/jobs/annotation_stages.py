"""The stages of annotation: plain functions and classes that Ray Data runs in tasks and actors of their own."""

from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
from PIL import Image

from actors.cluster.engine_start import engine_start
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.jobs.annotate import AnnotateConfig
from ray_iqa.data.images import picture_or_reason
from ray_iqa.policy.exported_version import read_policy_version
from ray_iqa.rali.annotations.parquet_parts import write_hidden
from ray_iqa.rali.annotations.pictures import SCHEMA, AnnotatedImage
from ray_iqa.rali.annotations.records import RECORD_SCHEMA, records_to_table, table_to_records
from ray_iqa.rali.annotations.verdicts import embed_texts, records_of_group
from ray_iqa.seeds import derive_seed

_DECODED_SCHEMA = pa.schema(
    [("pixels", pa.large_binary()), ("width", pa.int32()), ("height", pa.int32()), ("reason", pa.string())]
)


def decode(batch: pa.Table) -> pa.Table:
    """Add ``pixels`` (RGB bytes), ``width``, ``height``; a picture that cannot be decoded gets a ``reason`` instead."""
    columns = zip(*map(_decoded, batch["image_path"].to_pylist()), strict=True)
    for field, values in zip(_DECODED_SCHEMA, columns, strict=True):
        batch = batch.append_column(field, pa.array(values, field.type))
    return batch


def _decoded(path: str) -> tuple[bytes | None, int | None, int | None, str | None]:
    picture = picture_or_reason(path)
    if isinstance(picture, str):
        return None, None, None, picture
    return picture.tobytes(), picture.width, picture.height, None


class Reasoner:
    """One engine: pictures -> one row per picture with the list ``records``."""

    def __init__(self, config: AnnotateConfig) -> None:
        with engine_start():
            from ray_iqa.backends.vllm.sampler import VllmSampler  # the engine belongs in this process only

            self._sampler = VllmSampler(config.policy, config.rollout)
        self._prompt = prompt_by_id(config.policy.prompt)
        self._spec = config.rollout.sampling_spec(derive_seed(config.seed, "annotate"))
        self._num_texts = config.texts_per_image
        self._policy_version = read_policy_version(config.policy.model)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Sample and read the answers; the pictures end here."""
        images = [AnnotatedImage(**row) for row in batch.select(SCHEMA.names).to_pylist()]
        decoded = batch.select(_DECODED_SCHEMA.names).to_pylist()
        pictures = [
            row["reason"] or Image.frombytes("RGB", (row["width"], row["height"]), row["pixels"]) for row in decoded
        ]
        groups = self._sampler.sample_pictures([image.for_sampler() for image in images], pictures, self._spec)
        groups = [replace(group, policy_version=self._policy_version) for group in groups]
        found = [
            records_of_group(image, group, self._prompt, self._num_texts)
            for image, group in zip(images, groups, strict=True)
        ]
        rows = [[asdict(record) for record in own] for own in found]
        return pa.table({"records": pa.array(rows, pa.list_(pa.struct(list(RECORD_SCHEMA))))})


class TextWriter:
    """One text tower: embeds the texts of a block and writes its rows to a file, which the driver then adds."""

    def __init__(self, config: AnnotateConfig, folder: Path) -> None:
        with engine_start():
            from ray_iqa.rali.model.encoders import load_clip

            device = "cuda" if config.pipeline.gpus_per_text_encoder else "cpu"
            clip = load_clip(config.backbone.name, config.backbone.pretrained, device=device)
        self._encoder, self._name, self._folder = clip.text, clip.name, folder

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Rows with lists of records -> one row about the file they are in."""
        nested = batch["records"].combine_chunks()
        records = table_to_records(pa.Table.from_struct_array(nested.flatten()))
        table = records_to_table(embed_texts(records, self._encoder, self._name))
        failed = {(record.dataset, record.image_id) for record in records if record.status == "failed"}
        return pa.table(
            {
                "file": [write_hidden(self._folder, table)],
                "num_images": [len(nested)],
                "num_failed": [len(failed)],
            }
        )
