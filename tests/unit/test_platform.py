import pytest

from axbuild.engine.code.platform import float_platform, level

V2 = "cx16 popcnt sse4_1 sse4_2 ssse3"
V3 = f"{V2} avx avx2 bmi1 bmi2 f16c fma movbe"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"


@pytest.mark.parametrize(
    ("flags", "reached"),
    [
        ("fpu sse2", "v1"),
        (V2, "v2"),
        (V3, "v3"),
        (V4, "v4"),
        (V4.replace("fma", ""), "v2"),
        (f"{V4} avx512_vnni", "v4"),
    ],
)
def test_the_level_is_the_highest_whose_flags_are_all_there(flags, reached):
    assert level(f"processor\t: 0\nflags\t\t: fpu {flags}\n\nprocessor\t: 1\nflags\t: none\n") == reached


def test_the_kind_of_device_counts_and_its_index_does_not():
    assert float_platform("cuda:3") == float_platform("cuda:0")
    assert float_platform("cuda:3").endswith("/cuda")
    assert float_platform() != float_platform("cuda")
