// The pages on which volunteers talk, collect and look at their own work: plain forms, so only their looks.

import "./community.css";
