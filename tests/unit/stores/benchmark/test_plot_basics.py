"""Every path can be told from every other, with and without colours."""

from tasks.stores.benchmark.plot_basics import COLOURS, KNOWN, shown_rate, styles_of


def test_no_two_paths_look_the_same() -> None:
    styles = styles_of([*KNOWN, "mine", "theirs"])
    assert len({(style.colour, style.marker) for style in styles.values()}) == len(KNOWN) + 2
    assert len({style.marker for style in styles.values()}) == len(KNOWN) + 2


def test_a_path_looks_the_same_in_every_plot() -> None:
    assert styles_of(["goofys"])["goofys"] == styles_of(["mine", *KNOWN])["goofys"]


def test_a_path_of_the_users_own_gets_a_colour_that_is_free() -> None:
    styles = styles_of(["s3fs", "mine", "goofys"])
    assert len({style.colour for style in styles.values()}) == 3


def test_colours_differ_in_lightness_too() -> None:
    """Whoever sees no colour at all tells most of them apart by their lightness, and all by their markers."""

    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    assert len({round(lightness(colour) / 8) for colour in COLOURS}) >= len(COLOURS) - 2


def test_rates_are_shown_with_the_digits_that_count() -> None:
    assert [shown_rate(rate) for rate in (1234567.0, 12.3, 9.87, 0.0123)] == ["1,234,567", "12", "9.9", "0.012"]
