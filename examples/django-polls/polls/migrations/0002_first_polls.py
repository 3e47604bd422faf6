"""The first polls, so that a new database has something to show. Running it twice changes nothing."""

from django.db import migrations

POLLS = {
    "Which way should code go?": ("Tabs", "Spaces", "Whatever the formatter says"),
    "What matters most in a platform?": (
        "git push, and it is live",
        "Every release has a number",
        "A rollback within a second",
        "It runs on my own machine",
    ),
}


def add(apps, schema_editor):
    question_model = apps.get_model("polls", "Question")
    for text, choices in POLLS.items():
        question, new = question_model.objects.get_or_create(question_text=text)
        if new:
            for choice in choices:
                question.choice_set.create(choice_text=choice)


class Migration(migrations.Migration):
    dependencies = [("polls", "0001_initial")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
