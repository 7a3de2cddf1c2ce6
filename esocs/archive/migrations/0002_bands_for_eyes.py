"""What a shard keeps for eyes may be three bands as well; a text alone changes."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("archive", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="shard",
            name="display_path",
            field=models.CharField(
                blank=True,
                help_text="For eyes: an .npz with an array a plane, (3, n) of a spectrum, (3, H, W) of bands.",
                max_length=400,
            ),
        )
    ]
