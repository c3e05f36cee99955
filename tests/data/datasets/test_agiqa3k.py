from pathlib import Path

from native_copies import touch_image, write_lines

from ray_iqa.data.datasets import agiqa3k


def test_the_quality_target_is_read_and_the_prompt_is_the_content(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "data.csv",
        "name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align",
        'AttnGAN_normal_000.jpg,"statue of a man, realistic",,,realistic,0.965602553,0.223270101,2.1,0.5',
        'sd1.5_highcorr_000.jpg,"statue of a man, realistic",,,realistic,3.1,0.6,4.9,0.1',
    )
    touch_image(tmp_path / "images/AttnGAN_normal_000.jpg")
    rows = agiqa3k.DATASET.rows(tmp_path)
    assert [(row.mos, row.mos_std) for row in rows] == [(0.965602553, 0.223270101), (3.1, 0.6)]
    assert {row.ref_id for row in rows} == {"statue of a man, realistic"}
    assert rows[0].path == str(tmp_path / "images/AttnGAN_normal_000.jpg")
