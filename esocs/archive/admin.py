"""Products for operators: above all what was rejected, with its named error."""

from __future__ import annotations

from django.contrib import admin

from esocs.archive.models import IngestBatch, Product, Shard


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin[Product]):
    list_display = ["dp_id", "state", "error_code", "kind", "instrument", "object_name", "batch"]
    list_filter = ["state", "error_code", "kind", "instrument"]
    search_fields = ["dp_id", "uri", "object_name"]
    raw_id_fields = ["batch"]


@admin.register(IngestBatch)
class IngestBatchAdmin(admin.ModelAdmin[IngestBatch]):
    list_display = ["id", "source", "created_by", "created_at"]
    raw_id_fields = ["created_by"]


@admin.register(Shard)
class ShardAdmin(admin.ModelAdmin[Shard]):
    list_display = ["path", "kind", "shape", "created_at"]
    raw_id_fields = ["batch"]
