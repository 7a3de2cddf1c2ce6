"""Passwords of external calls were kept as they are written; seal them."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

from esocs.crowd.caesar.sealing import seal, unseal


def seal_passwords(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001 - given to every one
    for effect in apps.get_model("crowd", "RuleEffect").objects.filter(config__has_key="password"):
        effect.config["sealed_password"] = seal(effect.config.pop("password"))
        effect.save(update_fields=["config"])


def open_passwords(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001 - given to every one
    for effect in apps.get_model("crowd", "RuleEffect").objects.filter(config__has_key="sealed_password"):
        effect.config["password"] = unseal(effect.config.pop("sealed_password"))
        effect.save(update_fields=["config"])


class Migration(migrations.Migration):
    dependencies = [("crowd", "0010_revisions")]

    operations = [
        migrations.AlterField(
            model_name="ruleeffect",
            name="config",
            field=models.JSONField(default=dict, help_text="url, reducer_key, username and sealed password of a call."),
        ),
        migrations.RunPython(seal_passwords, open_passwords),
    ]
