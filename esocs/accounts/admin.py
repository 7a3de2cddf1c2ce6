"""People, for operators."""

from django.contrib import admin

from esocs.accounts.models import User, Volunteer


@admin.register(User)
class UserAdmin(admin.ModelAdmin[User]):
    list_display = ["login", "display_name", "is_staff", "is_active", "created_at", "last_login"]
    search_fields = ["login", "display_name"]
    exclude = ["password"]


@admin.register(Volunteer)
class VolunteerAdmin(admin.ModelAdmin[Volunteer]):
    list_display = ["id", "user", "created_at"]
    raw_id_fields = ["user"]
