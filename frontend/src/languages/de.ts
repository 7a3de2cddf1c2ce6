// The scripts' texts in German. A text with a number has one form for each of the language's plurals.

import { useCatalogue } from "../shared/i18n";
import { community } from "./de/community";
import { keys } from "./de/keys";
import { session } from "./de/session";
import { tasks } from "./de/tasks";
import { viewers } from "./de/viewers";

useCatalogue({ ...session, ...keys, ...viewers, ...tasks, ...community });
