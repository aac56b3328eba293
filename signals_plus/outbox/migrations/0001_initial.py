from django.db import migrations, models

import signals_plus.outbox.fields
import signals_plus.outbox.indexes


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Message",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("message_id", models.UUIDField(unique=True, verbose_name="message id")),
                (
                    "receiver",
                    signals_plus.outbox.fields.NameField(max_length=255, verbose_name="receiver"),
                ),
                ("payload", models.TextField(verbose_name="payload")),
                ("trace", models.TextField(default="", verbose_name="trace")),
                (
                    "effect",
                    models.BooleanField(
                        help_text="Done when its receiver has run, not when a queue has it.",
                        verbose_name="effect",
                    ),
                ),
                (
                    "ordering_key",
                    signals_plus.outbox.fields.NameField(
                        max_length=255, null=True, verbose_name="ordering key"
                    ),
                ),
                (
                    "status",
                    models.SmallIntegerField(
                        choices=[(0, "pending"), (9, "dead")], default=0, verbose_name="status"
                    ),
                ),
                ("attempts", models.SmallIntegerField(default=0, verbose_name="attempts")),
                ("created_at", models.DateTimeField(verbose_name="created at")),
                ("due_at", models.DateTimeField(verbose_name="due at")),
                (
                    "due_since",
                    models.DateTimeField(
                        help_text="The longer it has been due, the longer it is put off next.",
                        verbose_name="due since",
                    ),
                ),
                ("dead_at", models.DateTimeField(null=True, verbose_name="dead at")),
                (
                    "claimed_by",
                    models.CharField(default="", max_length=64, verbose_name="claimed by"),
                ),
                ("last_error", models.TextField(default="", verbose_name="last error")),
            ],
            options={
                "verbose_name": "message",
                "verbose_name_plural": "messages",
                "db_table": "signals_plus_outbox_message",
                "permissions": (
                    ("requeue_message", "Can requeue messages: run their receivers again"),
                    ("discard_message", "Can discard messages: delete them undone"),
                    ("view_payload", "Can view the payload of messages"),
                ),
                "default_permissions": ("view",),
                "indexes": [
                    signals_plus.outbox.indexes.LeanIndex(
                        "status",
                        "due_at",
                        "id",
                        name="signals_plus_outbox_due",
                        rows=models.Q(("status", 0)),
                    ),
                    signals_plus.outbox.indexes.LeanIndex(
                        "receiver",
                        "ordering_key",
                        "id",
                        name="signals_plus_outbox_order",
                        rows=models.Q(("ordering_key__isnull", False)),
                    ),
                ],
            },
        ),
    ]
