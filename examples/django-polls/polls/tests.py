"""The app's own tests: `python manage.py test`."""

import os
from datetime import timedelta
from unittest import mock

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from .models import Question


def ask(text: str = "Why?", *, days: int = 0, choices: tuple[str, ...] = ("So", "Because")) -> Question:
    question = Question.objects.create(question_text=text, pub_date=timezone.now() + timedelta(days=days))
    for choice in choices:
        question.choice_set.create(choice_text=choice)
    return question


class IndexTests(TestCase):
    def test_new_database_has_a_poll_to_show(self) -> None:
        self.assertContains(self.client.get("/"), "What matters most in a platform?")

    def test_newest_poll_stands_in_front(self) -> None:
        newest = ask("The newest?")
        self.assertEqual(self.client.get("/").context["question"], newest)

    def test_polls_of_the_future_and_without_choices_are_hidden(self) -> None:
        hidden = ask("Later?", days=1), ask("Empty?", choices=())
        for question in hidden:
            self.assertNotContains(self.client.get("/"), question.question_text)
            for page in ("polls:detail", "polls:results"):
                self.assertEqual(self.client.get(reverse(page, args=(question.pk,))).status_code, 404)

    def test_empty_database_is_said_so(self) -> None:
        Question.objects.all().delete()
        self.assertContains(self.client.get("/"), "No polls yet")

    def test_page_tells_its_release(self) -> None:
        variables = {"HEROKU_RELEASE_VERSION": "v7", "HEROKU_SLUG_COMMIT": "9f3c21ab" * 5, "GREETING": "<hi>"}
        with mock.patch.dict(os.environ, variables):
            page = self.client.get("/")
        self.assertContains(page, "v7")
        self.assertContains(page, "<code>9f3c21ab</code>", html=True)
        self.assertContains(page, "&lt;hi&gt;")


class VoteTests(TestCase):
    def test_vote_counts_and_redirects_to_the_results(self) -> None:
        question = ask()
        choice = question.choice_set.first()
        answer = self.client.post(reverse("polls:vote", args=(question.pk,)), {"choice": choice.pk})
        self.assertRedirects(answer, reverse("polls:results", args=(question.pk,)))
        choice.refresh_from_db()
        self.assertEqual(choice.votes, 1)
        self.assertContains(self.client.get(answer.url), "1 vote, 100 %")

    def test_vote_without_a_choice_of_this_poll_is_refused(self) -> None:
        question, other = ask(), ask("Other?")
        for sent in ({}, {"choice": "x"}, {"choice": other.choice_set.first().pk}):
            answer = self.client.post(reverse("polls:vote", args=(question.pk,)), sent)
            self.assertContains(answer, "Choose one of the answers first.", status_code=422)

    def test_vote_needs_post(self) -> None:
        self.assertEqual(self.client.get(reverse("polls:vote", args=(ask().pk,))).status_code, 405)


class BehindTheRouterTests(TestCase):
    def test_form_works_under_the_address_that_the_browser_sees(self) -> None:
        client = self.client_class(enforce_csrf_checks=True, headers={"host": "polls.localhost:8080"})
        question = ask()
        client.get("/")
        sent = {"choice": question.choice_set.first().pk, "csrfmiddlewaretoken": client.cookies["csrftoken"].value}
        path = reverse("polls:vote", args=(question.pk,))
        self.assertEqual(client.post(path, sent, headers={"origin": "http://polls.localhost:8080"}).status_code, 302)
        self.assertEqual(client.post(path, sent, headers={"origin": "http://else.where"}).status_code, 403)

    def test_foreign_host_is_refused(self) -> None:
        self.assertEqual(self.client.get("/", headers={"host": "else.where"}).status_code, 400)
