// Zooniverse's own JavaScript client, unmodified, for the page of another origin that the test serves.
import apiClient from "panoptes-client/lib/api-client";
import auth from "panoptes-client/lib/auth";

window.zooniverse = { apiClient, auth };
