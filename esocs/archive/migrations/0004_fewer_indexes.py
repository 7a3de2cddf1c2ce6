"""Each row of an index costs every file that is ingested; what an index that begins with the same column serves goes."""

import django.db.models.deletion
from django.db import migrations, models

# Renamed in place: made anew, it would lock a large table for as long as that takes.
KEEP_THE_INDEX = """
ALTER TABLE archive_product RENAME CONSTRAINT archive_product_uri_key TO product_uri_unique;
DROP INDEX IF EXISTS archive_product_uri_89910814_like;
"""
BACK = """
ALTER TABLE archive_product RENAME CONSTRAINT product_uri_unique TO archive_product_uri_key;
CREATE INDEX archive_product_uri_89910814_like ON archive_product (uri varchar_pattern_ops);
"""


class Migration(migrations.Migration):
    dependencies = [("archive", "0003_planes_for_the_browser")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(KEEP_THE_INDEX, BACK)],
            state_operations=[
                migrations.AlterField(
                    model_name="product",
                    name="uri",
                    field=models.CharField(help_text="Where the file was read from.", max_length=1000),
                ),
                migrations.AddConstraint(
                    model_name="product",
                    constraint=models.UniqueConstraint(fields=("uri",), name="product_uri_unique"),
                ),
            ],
        ),
        migrations.AlterField(
            model_name="product",
            name="batch",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="products",
                to="archive.ingestbatch",
            ),
        ),
        migrations.AlterField(
            model_name="plane",
            name="product",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="planes",
                to="archive.product",
            ),
        ),
        migrations.AlterField(
            model_name="plane",
            name="shard",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="planes",
                to="archive.shard",
            ),
        ),
    ]
