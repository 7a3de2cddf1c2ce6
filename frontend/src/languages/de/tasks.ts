import type { Catalogue } from "../../shared/i18n";

export const tasks: Catalogue = {};
