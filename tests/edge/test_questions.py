"""Questions about settings, and who hears the answers."""

from edge.questions import Questions
from protos.link.link_pb2 import Resolved
from protos.link.settings import from_wire


def test_each_answer_goes_to_its_question_once() -> None:
    questions, heard = Questions(), list[tuple[str, Resolved | None]]()
    first = questions.ask("app", [("datestyle", "dmy")], lambda answer: heard.append(("first", answer)))
    second = questions.ask("app", [], lambda answer: heard.append(("second", answer)))
    assert (first.configuration, from_wire(first.settings)) == ("app", [("datestyle", "dmy")])
    answer = Resolved(id=second.id)
    questions.answered(answer)
    questions.answered(answer)
    questions.answered(Resolved(id=99))
    assert heard == [("second", answer)]
    assert len(questions) == 1


def test_a_lost_link_answers_with_nothing() -> None:
    questions, heard = Questions(), list[Resolved | None]()
    questions.ask("app", [], heard.append)
    questions.lost()
    questions.lost()
    assert heard == [None]
