"""A log is shipped whole, in order and in bounded pieces, whatever is lost on the way."""

from amasia.agent.logs import BEHIND, PIECE, Log


def test_a_lost_answer_sends_the_same_lines_again(tmp_path):
    log = Log(tmp_path / "log")
    log.path.write_text("one\ntwo\n")
    assert log.next() == log.next() == "one\ntwo\n"
    log.arrived()
    assert log.next() == ""


def test_half_a_line_waits_for_its_end(tmp_path):
    log = Log(tmp_path / "log")
    log.path.write_text("one\ntw")
    assert log.next() == "one\n"
    log.arrived()
    assert log.next() == ""
    log.path.write_text("one\ntwo\n")
    assert log.next() == "two\n"


def test_pieces_are_bounded_and_complete(tmp_path):
    log = Log(tmp_path / "log")
    text = "".join(f"line {n} äöü\n" for n in range(20_000))
    log.path.write_text(text)
    pieces = []
    while piece := log.next():
        assert len(piece.encode()) <= PIECE
        pieces.append(piece)
        log.arrived()
    assert "".join(pieces) == text


def test_a_line_longer_than_a_piece_does_not_stop_the_log(tmp_path):
    log = Log(tmp_path / "log")
    log.path.write_text("x" * (PIECE + 10) + "\nend\n")
    first = log.next()
    log.arrived()
    assert first + log.next() == log.path.read_text()


def test_a_flood_is_cut_and_says_so(tmp_path):
    log = Log(tmp_path / "log")
    log.path.write_text("flood\n" * BEHIND + "end\n")
    text = log.next()
    assert "bytes were left out" in text
    assert text.endswith("end\n")
    assert len(text) < PIECE + 100


def test_a_missing_log_is_an_empty_one(tmp_path):
    log = Log(tmp_path / "none")
    assert log.next() == log.tail() == ""


def test_the_tail_is_the_last_lines(tmp_path):
    log = Log(tmp_path / "log")
    log.path.write_text("Traceback\n\n  one\n  two\nValueError: bad\n")
    assert log.tail(2) == "two | ValueError: bad"
