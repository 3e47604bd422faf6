"""A question and the choices it leaves, each with its votes."""

from datetime import timedelta

from django.contrib import admin
from django.db import models
from django.utils import timezone


class PublishedQuestions(models.QuerySet["Question"]):
    def published(self) -> "PublishedQuestions":
        """What voters may see: not of the future, and with at least one choice."""
        return self.filter(pub_date__lte=timezone.now(), choice__isnull=False).distinct()


class Question(models.Model):
    question_text = models.CharField(max_length=200)
    pub_date = models.DateTimeField("date published", default=timezone.now)

    objects = PublishedQuestions.as_manager()

    class Meta:
        ordering = ("-pub_date", "-pk")

    def __str__(self) -> str:
        return self.question_text

    @admin.display(boolean=True, ordering="pub_date", description="Published recently?")
    def was_published_recently(self) -> bool:
        now = timezone.now()
        return now - timedelta(days=1) <= self.pub_date <= now


class Choice(models.Model):
    question = models.ForeignKey(Question, on_delete=models.CASCADE)
    choice_text = models.CharField(max_length=200)
    votes = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.choice_text
