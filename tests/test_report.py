"""The page of a run: what it holds, and that it works when Chromium opens it and clicks."""

import colorsys
import json
import os
import re
import shutil
from importlib import resources

import numpy as np
import pytest
from gensim.models import KeyedVectors

from kerasw2v.evaluation import AnalogyScore, Evaluation, PairScore
from kerasw2v.history import History, Measurement
from kerasw2v.report import check_report_path, write_report

HOSTILE = [
    "</script><script>window.broken=1</script>",
    "<!--<script>",
    "<img/src=x/onerror=window.broken=2>",
    "{{_data_}}",
    "$&",
    "&lt;b&gt;",
    '"\\u003c',
    "line\u2028end",
    "half\ud800",
]


def make_vectors(words, size=20):
    """Vectors with a few directions in common, so that neighbours differ clearly."""
    rng = np.random.default_rng(0)
    topics = rng.normal(size=(12, size))
    matrix = topics[rng.integers(12, size=len(words))] + 0.6 * rng.normal(size=(len(words), size))
    made = KeyedVectors(size)
    made.add_vectors(words, matrix.astype(np.float32))
    made.allocate_vecattrs(["count"], [int])
    made.expandos["count"][:] = np.arange(len(words), 0, -1) + 2_000
    return made


@pytest.fixture(scope="module")
def plain():
    letters = "abcdefghijklmnopqrstuvwxyz"
    return make_vectors([f"word{a}{b}" for a in letters for b in letters][:400])


@pytest.fixture
def history():
    recorded = History()
    for i in range(1, 9):
        speed = None if i == 1 else 1000.0 + 10 * i
        recorded.add(Measurement(i / 4, 250.0 * i, 0.5 * i, 3 - i / 4, speed))
    recorded.epochs += [Measurement(1, 1000.0, 2.0, 2.5, 1025.0)]
    recorded.epochs += [Measurement(2, 2000.0, 4.0, 1.5, 1065.0)]
    return recorded


@pytest.fixture
def evaluation():
    enough, few = AnalogyScore("total", 9, 36), AnalogyScore("semantic", 1, 4)
    pairs = (
        PairScore("WordSim353", 0.5, 0.4, 353, 0.1),
        PairScore("SimLex999", None, None, 999, 1),
    )
    return Evaluation((), few, AnalogyScore("syntactic", 8, 32), enough, pairs)


def data_of(path):
    """Returns what a page's script reads: the JSON, as a browser would find it."""
    text = path.read_text("utf-8")
    blocks = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    assert len(blocks) == 1
    return json.loads(blocks[0])


class TestPage:
    def test_holds_everything(self, plain, history, evaluation, tmp_path):
        settings = {"Corpus": {"words": 12345, "files": None}, "Training": {"alpha": 0.0451234}}
        write_report(tmp_path / "r.html", plain, "CBOW", settings, history, evaluation)
        data = data_of(tmp_path / "r.html")
        assert data["title"] == "CBOW"
        assert data["settings"] == [
            ["Corpus", [["words", "12,345"], ["files", "-"]]],
            ["Training", [["alpha", "0.04512"]]],
        ]
        assert data["summary"][2:] == [
            ["epochs", "2"],
            ["loss of the last epoch", "1.5000"],
            ["words per second", "1,045"],
        ]
        assert data["history"]["epochs"] == [[1, 2.0, 2.5, 1025.0], [2, 4.0, 1.5, 1065.0]]
        too_few = "too few are known (30 needed)"
        assert data["evaluation"] == [
            ["WordSim353", "rank correlation", 0.5, "0.500", "318 of 353"],
            ["SimLex999", "rank correlation", None, too_few, "0 of 999"],
            ["Analogies, semantic", "share answered correctly", None, too_few, "4"],
            ["Analogies, syntactic", "share answered correctly", 0.25, "0.250", "32"],
            ["Analogies", "share answered correctly", 0.25, "0.250", "36"],
        ]
        assert os.listdir(tmp_path) == ["r.html"]

    def test_vectors_alone_are_enough(self, plain, tmp_path):
        write_report(tmp_path / "r.html", plain)
        data = data_of(tmp_path / "r.html")
        assert data["history"] is data["evaluation"] is None
        assert max(data["counts"]) == 2_400

    def test_most_frequent_words_only(self, plain, tmp_path):
        write_report(tmp_path / "r.html", plain, max_words=7)
        data = data_of(tmp_path / "r.html")
        assert sorted(data["words"]) == sorted(plain.index_to_key[:7])
        assert len(data["counts"]) == 7

    @pytest.mark.parametrize("number", [1, 2])
    def test_hardly_any_words(self, number, tmp_path):
        write_report(tmp_path / "r.html", make_vectors(["one", "two"][:number], size=2))
        assert len(data_of(tmp_path / "r.html")["words"]) == number

    def test_a_resumed_run_says_what_it_lacks(self, plain, history, tmp_path):
        history.begun = 3
        write_report(tmp_path / "r.html", plain, history=history)
        assert "Epochs 1 to 3 were not recorded." in data_of(tmp_path / "r.html")["history"]["note"]

    def test_a_loss_that_is_no_number_stays_valid_json(self, plain, tmp_path):
        recorded = History(points=[Measurement(1, 10, 1, float("nan"), None)])
        write_report(tmp_path / "r.html", plain, history=recorded)
        assert data_of(tmp_path / "r.html")["history"]["points"] == [[1, 1, None, None]]

    def test_words_are_data(self, tmp_path):
        write_report(tmp_path / "r.html", make_vectors(HOSTILE), title="</script><b>")
        assert sorted(data_of(tmp_path / "r.html")["words"]) == sorted(HOSTILE)
        page = (tmp_path / "r.html").read_text("utf-8")
        assert page.count("</script>") == 2  # those of the page itself
        assert "<img" not in page
        assert "\u2028" not in page

    def test_asks_nobody_for_anything(self, plain, tmp_path):
        write_report(tmp_path / "r.html", plain)
        page = (tmp_path / "r.html").read_text("utf-8")
        assert re.findall(r"(?:src|href)=|@import|url\(", page) == []
        assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}


def luminance(red, green, blue):
    """Relative luminance as WCAG 2 defines it, of numbers from 0 to 1."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one, other):
    dark, light = sorted([luminance(*one), luminance(*other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_have_contrast(scheme):
    """At least 4.5, as WCAG 2 asks of small text; on the map for every colour of a word."""
    style = (resources.files("kerasw2v.report") / "page.css").read_text("utf-8")
    block = re.findall(r":root \{(.*?)\}", style, re.S)[scheme]
    values = dict(re.findall(r"--(\w+): ([^;]+);", block))

    def colour(name):
        digits = values[name].removeprefix("#")
        digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
        return [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]

    for text, behind in [("ink", "card"), ("ink", "bar"), ("soft", "card"), ("soft", "ground")]:
        assert contrast(colour(text), colour(behind)) >= 4.5
    for behind in ("card", "ground"):
        assert contrast(colour("accent"), colour(behind)) >= 4.5
    lightness = int(values["lightness"].removesuffix("%")) / 100
    for hue in range(215, 391):  # those of `hue` in page.js
        label = colorsys.hls_to_rgb(hue % 360 / 360, lightness, 0.45)
        assert contrast(label, colour("card")) >= 4.5


@pytest.mark.parametrize("name", ["r.pdf", "html", "no/r.html"])
def test_bad_names_leave_nothing(plain, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for refuse in (check_report_path, lambda path: write_report(path, plain)):
        with pytest.raises((ValueError, FileNotFoundError), match=r"must (end in \.html|lie in)"):
            refuse(name)
    assert os.listdir(tmp_path) == []


def test_a_failure_leaves_the_older_page(plain, tmp_path):
    (tmp_path / "r.html").write_text("old")
    with pytest.raises(ValueError, match="`max_words` must be at least 1"):
        write_report(tmp_path / "r.html", plain, max_words=0)
    assert (tmp_path / "r.html").read_text() == "old"


# ---------------------------------------------------------------- in Chromium

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    service = shutil.which("chromedriver")
    if not browser or not service:
        pytest.skip("Chromium or its driver is missing: apt-get install chromium chromium-driver")
    pytest.importorskip("selenium", reason="Selenium is missing: pip install '.[test]'")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(service))
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium, plain, history, evaluation, tmp_path):
    """A page, open in a browser; what it complains of fails the test."""
    settings = {"Corpus": {"files": "corpus.txt"}}
    write_report(tmp_path / "run.html", plain, "CBOW", settings, history, evaluation)
    chromium.get((tmp_path / "run.html").as_uri())
    yield Page(chromium)
    assert chromium.get_log("browser") == []


class Page:
    def __init__(self, driver):
        self.driver = driver

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def texts(self, selector):
        return [found.text for found in self.all(selector)]

    def search(self, query):
        self.one("#query").clear()
        self.one("#query").send_keys(query)
        self.one("#search button").click()

    def neighbours(self):
        """Returns words and cosines as they are shown."""
        cosines = map(float, self.texts("#neighbours tbody .bar"))
        return list(zip(self.texts("#neighbours tbody button"), cosines, strict=True))

    def point_at_the_middle_of_the_map(self, click=False):
        from selenium.webdriver import ActionChains

        # A corner first: a pointer that does not move tells the page nothing.
        chain = ActionChains(self.driver).move_to_element_with_offset(self.one("#map"), 150, 150)
        chain = chain.move_to_element(self.one("#map"))
        (chain.click() if click else chain).perform()


class TestInChromium:
    def test_shows_the_run(self, page):
        assert page.driver.title == "CBOW · kerasw2v"
        assert page.one("h1").text == "CBOW"
        assert page.texts("#summary dd") == ["400", "20", "2", "1.5000", "1,045"]
        assert page.texts("#settings td") == ["files", "corpus.txt"]
        rows = page.texts("#evaluation tbody tr")
        assert rows[0].split("\n") == ["WordSim353 rank correlation", "0.500", "318 of 353"]
        assert rows[1] == "SimLex999 rank correlation too few are known (30 needed) 0 of 999"
        page.one("summary").click()
        assert page.texts("#epochs tbody tr") == [
            "1 2.5000 1,025 0:00:02",
            "2 1.5000 1,065 0:00:04",
        ]

    def test_asks_the_network_for_nothing(self, page):
        script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
        assert page.driver.execute_script(script) == []

    def test_charts(self, page):
        loss, speed = (picture.get_attribute("aria-label") for picture in page.all(".chart svg"))
        assert loss == (
            "Loss by epochs: 2.7500, epoch 0.25, 0:00:01 at first, "
            "1.0000, epoch 2, 0:00:04 at last."
        )
        assert speed.startswith("Words per second by epochs: 1,020 words/s, epoch 0.5,")
        paths = [path.get_attribute("d") for path in page.all(".chart .curve")]
        assert [path.count("L") for path in paths] == [7, 6]  # the first call is not timed
        from selenium.webdriver import ActionChains

        chart = page.one("#loss svg")
        ActionChains(page.driver).move_to_element_with_offset(chart, -60, 0).perform()
        assert re.fullmatch(r"\d\.\d{4}, epoch \d(\.\d+)?, 0:00:0\d", page.one("#loss .said").text)
        assert page.one("#loss .said").text != "1.0000, epoch 2, 0:00:04"

    @pytest.mark.parametrize("word", ["wordaa", "wordck", "wordmx"])
    def test_nearest_words_are_gensims(self, page, plain, word):
        page.search(word)
        expected = dict(plain.most_similar(word, topn=20))
        shown = page.neighbours()
        assert len(shown) == 12
        # A byte a number: the order of near ties may differ, cosines by less than .01.
        assert shown == sorted(shown, key=lambda pair: -pair[1])
        for name, cosine in shown:
            assert cosine == pytest.approx(expected[name], abs=0.01)

    def test_sums_and_differences(self, page, plain):
        page.search("wordaa - wordab + wordac")
        expected = dict(plain.most_similar(["wordaa", "wordac"], ["wordab"], topn=20))
        for name, cosine in page.neighbours():
            assert cosine == pytest.approx(expected[name], abs=0.01)

    def test_a_click_on_a_neighbour_asks_for_it(self, page):
        page.search("wordaa")
        first = page.one("#neighbours tbody button")
        word = first.text
        first.click()
        assert page.one("#query").get_property("value") == word
        assert word not in page.texts("#neighbours tbody button")
        assert "Nearest of the 400 words" in page.one("#status").text

    def test_unknown_words(self, page):
        page.search("WORDAA")
        assert "“WORDAA” is not among the 400 words" in page.one("#status").text
        assert "Did you mean “wordaa”?" in page.one("#status").text
        assert page.neighbours() == []
        assert not page.one("#centre").is_enabled()
        page.search("  ")
        assert page.one("#status").text == "Enter a word."

    def test_suggestions(self, page):
        page.one("#query").clear()
        page.one("#query").send_keys("wordaa - wordb")
        script = "return [...document.querySelectorAll('#known option')].map((o) => o.value)"
        offered = page.driver.execute_script(script)
        assert len(offered) == 12
        assert all(re.fullmatch("wordaa - wordb[a-z]", each) for each in offered)

    def test_map(self, page):
        page.search("worddq")
        page.one("#centre").click()
        page.point_at_the_middle_of_the_map()
        assert page.one("#tip").text == "worddq · 2,306"
        before = page.driver.execute_script("return document.getElementById('map').toDataURL()")
        page.search("wordaa")
        page.point_at_the_middle_of_the_map(click=True)
        assert page.one("#query").get_property("value") == "worddq"
        for button in ("#zoom-in", "#zoom-out", "#zoom-home"):
            page.one(button).click()
        after = page.driver.execute_script("return document.getElementById('map').toDataURL()")
        assert before != after  # all words again
        page.one("#map").send_keys("++")
        assert after != page.driver.execute_script(
            "return document.getElementById('map').toDataURL()"
        )

    def test_everything_has_a_name(self, page):
        nameless = page.driver.execute_script(
            "return [...document.querySelectorAll('button, input, canvas, svg, section, [role]')]"
            ".filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length ||"
            " e.getAttribute('aria-labelledby') || e.hidden || e.id === 'status'))"
            ".map((e) => e.outerHTML)"
        )
        assert nameless == []

    @pytest.mark.parametrize("width", [340, 400, 800, 1200])
    def test_fits_any_width(self, page, width):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        try:
            wide = page.driver.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width
        finally:
            page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def test_light_and_dark(self, page):
        pictures = {}
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            style = "getComputedStyle(document.body)"
            colours = page.driver.execute_script(f"return [{style}.color, {style}.backgroundColor]")
            ink, ground = (sum(map(int, re.findall(r"\d+", each)[:3])) for each in colours)
            assert (ink < ground) == (scheme == "light")
            assert abs(ink - ground) > 3 * 150
            pictures[scheme] = page.driver.execute_async_script(
                # The page hears of the change with the next frame.
                "const done = arguments[0], next = requestAnimationFrame;"
                "next(() => next(() => done(document.getElementById('map').toDataURL())))"
            )
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        assert pictures["light"] != pictures["dark"]

    def test_hostile_words(self, chromium, tmp_path):
        words = [*HOSTILE, *(f"word{i}" for i in range(3))]
        write_report(tmp_path / "run.html", make_vectors(words), title=HOSTILE[0])
        chromium.get((tmp_path / "run.html").as_uri())
        page = Page(chromium)
        page.search("word1")
        shown = chromium.execute_script(
            "return [...document.querySelectorAll('#neighbours button')]"
            ".map((b) => b.textContent.toWellFormed())"
        )
        # Half of a surrogate pair cannot be sent to this test.
        expected = {word.replace("\ud800", "\ufffd") for word in words} - {"word1"}
        assert set(shown) == expected
        assert chromium.execute_script("return window.broken") is None
        assert page.one("h1").text == HOSTILE[0]
        page.search(HOSTILE[0])
        assert len(page.all("#neighbours tbody tr")) == len(words) - 1
        assert chromium.get_log("browser") == []
