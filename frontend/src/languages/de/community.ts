import type { Catalogue } from "../../shared/i18n";

export const community: Catalogue = {};
