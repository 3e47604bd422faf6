"""The pages: the newest poll in front, each poll by itself, its results; and the vote."""

from typing import Any

from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views import generic
from django.views.decorators.http import require_POST

from .models import Choice, Question


class IndexView(generic.TemplateView):
    template_name = "polls/index.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        newest, *others = Question.objects.published()[:6] or [None]
        return super().get_context_data(question=newest, others=others, **kwargs)


class DetailView(generic.DetailView):
    template_name = "polls/detail.html"

    def get_queryset(self) -> QuerySet[Question]:
        return Question.objects.published()


class ResultsView(DetailView):
    template_name = "polls/results.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        choices = list(self.object.choice_set.all())
        total = sum(choice.votes for choice in choices)
        shares = [(choice, round(100 * choice.votes / total) if total else 0) for choice in choices]
        return super().get_context_data(shares=shares, total=total, **kwargs)


@require_POST
def vote(request: HttpRequest, question_id: int) -> HttpResponse:
    question = get_object_or_404(Question.objects.published(), pk=question_id)
    try:
        choice = question.choice_set.get(pk=request.POST["choice"])
    except (KeyError, ValueError, Choice.DoesNotExist):
        context = {"question": question, "error_message": "Choose one of the answers first."}
        return render(request, "polls/detail.html", context, status=422)
    choice.votes = F("votes") + 1  # counted by the database: two votes at once are two votes
    choice.save(update_fields=["votes"])
    # A redirect, so that reloading the page doesn't vote again.
    return HttpResponseRedirect(reverse("polls:results", args=(question.pk,)))
