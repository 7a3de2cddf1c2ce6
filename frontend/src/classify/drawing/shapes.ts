// What each tool draws: how a shape begins, grows, is moved and turned, and which line stands for it. Pure; all in
// units of the subject. The keys are those of Panoptes' marks (v1): a rectangle has x and y in its upper left corner;
// an ellipse's angle runs against the clock, a turned rectangle's with it, as Panoptes has them.

import type { Geometry, Place } from "./marks";

/** Where the subject is, for what reaches across all of it. */
export interface Extent {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Handle extends Place {
  id: string;
  /** How it looks, and what moving it does. */
  kind: "move" | "size" | "turn" | "vertex";
}

export interface Outline {
  points: Place[];
  closed: boolean;
}

/** How a tool is used: one press; from here to there; a press for each vertex; the way of the pointer. */
export type Manner = "press" | "span" | "vertices" | "trail";

export interface Shape {
  manner: Manner;
  begin(at: Place): Geometry;
  /** While it spans from where it began to `to`. */
  span(from: Place, to: Place): Geometry;
  /** The shape of one press, of a given half width. */
  preset?(at: Place, size: number): Geometry;
  /** `reach`: how far from the shape a handle may stand that turns it. */
  handles(shape: Geometry, extent: Extent, reach: number): Handle[];
  drag(shape: Geometry, handle: string, to: Place): Geometry;
  move(shape: Geometry, dx: number, dy: number): Geometry;
  outline(shape: Geometry, extent: Extent): Outline;
  /** Its size in the subject's units, for telling a press from a span. */
  size(shape: Geometry): number;
}

const CORNERS = 72;

function number(shape: Geometry, key: string): number {
  const value = shape[key];
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}

function degrees(angle: number): number {
  return (angle * 180) / Math.PI;
}

/** From a shape's own axes, u along the first and v along the second, to the subject's; the angle with the clock. */
function turned(centre: Place, u: number, v: number, clockwise: number): Place {
  const [c, s] = [Math.cos(radians(clockwise)), Math.sin(radians(clockwise))];
  return { x: centre.x + u * c - v * s, y: centre.y + u * s + v * c };
}

/** A place in a shape's own axes. */
function own(centre: Place, at: Place, clockwise: number): Place {
  const [c, s] = [Math.cos(radians(clockwise)), Math.sin(radians(clockwise))];
  const [dx, dy] = [at.x - centre.x, at.y - centre.y];
  return { x: dx * c + dy * s, y: -dx * s + dy * c };
}

function at(shape: Geometry): Place {
  return { x: number(shape, "x"), y: number(shape, "y") };
}

function shifted(shape: Geometry, dx: number, dy: number): Geometry {
  return { ...shape, x: number(shape, "x") + dx, y: number(shape, "y") + dy };
}

const point: Shape = {
  manner: "press",
  begin: ({ x, y }) => ({ x, y }),
  span: (_from, { x, y }) => ({ x, y }),
  handles: (shape) => [{ id: "move", kind: "move", ...at(shape) }],
  drag: (_shape, _handle, { x, y }) => ({ x, y }),
  move: shifted,
  outline: (shape) => ({ points: [at(shape)], closed: false }),
  size: () => Infinity,
};

const line: Shape = {
  manner: "span",
  begin: ({ x, y }) => ({ x1: x, y1: y, x2: x, y2: y }),
  span: (from, to) => ({ x1: from.x, y1: from.y, x2: to.x, y2: to.y }),
  handles: (shape) => {
    const [a, b] = ends(shape);
    return [
      { id: "move", kind: "move", x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 },
      { id: "1", kind: "vertex", ...a },
      { id: "2", kind: "vertex", ...b },
    ];
  },
  drag: (shape, handle, to) => ({ ...shape, [`x${handle}`]: to.x, [`y${handle}`]: to.y }),
  move: (shape, dx, dy) => {
    const [a, b] = ends(shape);
    return { x1: a.x + dx, y1: a.y + dy, x2: b.x + dx, y2: b.y + dy };
  },
  outline: (shape) => ({ points: ends(shape), closed: false }),
  size: (shape) => {
    const [a, b] = ends(shape);
    return Math.hypot(a.x - b.x, a.y - b.y);
  },
};

function ends(shape: Geometry): [Place, Place] {
  return [
    { x: number(shape, "x1"), y: number(shape, "y1") },
    { x: number(shape, "x2"), y: number(shape, "y2") },
  ];
}

function ellipseOutline(centre: Place, rx: number, ry: number, clockwise: number): Outline {
  const points = Array.from({ length: CORNERS }, (_, index) => {
    const t = (2 * Math.PI * index) / CORNERS;
    return turned(centre, rx * Math.cos(t), ry * Math.sin(t), clockwise);
  });
  return { points, closed: true };
}

const circle: Shape = {
  manner: "span",
  begin: ({ x, y }) => ({ x, y, r: 0, angle: 0 }),
  span: (from, to) => ({ x: from.x, y: from.y, r: Math.hypot(to.x - from.x, to.y - from.y), angle: 0 }),
  preset: ({ x, y }, size) => ({ x, y, r: size, angle: 0 }),
  handles: (shape) => [
    { id: "move", kind: "move", ...at(shape) },
    { id: "r", kind: "size", x: number(shape, "x") + number(shape, "r"), y: number(shape, "y") },
  ],
  drag: (shape, _handle, to) => ({
    ...shape,
    r: Math.hypot(to.x - number(shape, "x"), to.y - number(shape, "y")),
  }),
  move: shifted,
  outline: (shape) => ellipseOutline(at(shape), number(shape, "r"), number(shape, "r"), 0),
  size: (shape) => number(shape, "r"),
};

const ellipse: Shape = {
  manner: "span",
  begin: ({ x, y }) => ({ x, y, rx: 0, ry: 0, angle: 0 }),
  // From the middle to the end of the long axis; the short one is half of it to begin with.
  span: (from, to) => {
    const rx = Math.hypot(to.x - from.x, to.y - from.y);
    return { x: from.x, y: from.y, rx, ry: rx / 2, angle: degrees(Math.atan2(from.y - to.y, to.x - from.x)) };
  },
  preset: ({ x, y }, size) => ({ x, y, rx: size, ry: size / 2, angle: 0 }),
  handles: (shape) => {
    const clockwise = -number(shape, "angle");
    return [
      { id: "move", kind: "move", ...at(shape) },
      { id: "rx", kind: "turn", ...turned(at(shape), number(shape, "rx"), 0, clockwise) },
      { id: "ry", kind: "size", ...turned(at(shape), 0, number(shape, "ry"), clockwise) },
    ];
  },
  drag: (shape, handle, to) => {
    const centre = at(shape);
    if (handle === "ry") return { ...shape, ry: Math.abs(own(centre, to, -number(shape, "angle")).y) };
    const [dx, dy] = [to.x - centre.x, to.y - centre.y];
    return { ...shape, rx: Math.hypot(dx, dy), angle: degrees(Math.atan2(-dy, dx)) };
  },
  move: shifted,
  outline: (shape) =>
    ellipseOutline(at(shape), number(shape, "rx"), number(shape, "ry"), -number(shape, "angle")),
  size: (shape) => number(shape, "rx"),
};

function box(from: Place, to: Place): Geometry {
  return {
    x: Math.min(from.x, to.x),
    y: Math.min(from.y, to.y),
    width: Math.abs(to.x - from.x),
    height: Math.abs(to.y - from.y),
  };
}

function middle(shape: Geometry): Place {
  return {
    x: number(shape, "x") + number(shape, "width") / 2,
    y: number(shape, "y") + number(shape, "height") / 2,
  };
}

/** Signs of u and v at the corners, in the order in which they are joined. */
const SIDES: readonly (readonly [string, -1 | 1, -1 | 1])[] = [
  ["nw", -1, -1],
  ["ne", 1, -1],
  ["se", 1, 1],
  ["sw", -1, 1],
];

function corners(shape: Geometry): (Place & { id: string })[] {
  const [u, v] = [number(shape, "width") / 2, number(shape, "height") / 2];
  return SIDES.map(([id, du, dv]) => ({
    id,
    ...turned(middle(shape), du * u, dv * v, number(shape, "angle")),
  }));
}

/** A corner goes to a place, the one opposite stays. */
function dragCorner(shape: Geometry, id: string, to: Place): Geometry {
  const place = SIDES.findIndex(([name]) => name === id);
  const opposite = corners(shape)[(place + 2) % 4];
  if (!opposite) return shape;
  const angle = number(shape, "angle");
  const diagonal = own(opposite, to, angle);
  const centre = { x: (opposite.x + to.x) / 2, y: (opposite.y + to.y) / 2 };
  const [width, height] = [Math.abs(diagonal.x), Math.abs(diagonal.y)];
  return { ...shape, x: centre.x - width / 2, y: centre.y - height / 2, width, height };
}

const rectangle: Shape = {
  manner: "span",
  begin: ({ x, y }) => ({ x, y, width: 0, height: 0 }),
  span: box,
  preset: ({ x, y }, size) => ({ x: x - size, y: y - size, width: 2 * size, height: 2 * size }),
  handles: (shape) => [
    { id: "move", kind: "move", ...middle(shape) },
    ...corners(shape).map((corner): Handle => ({ kind: "size", ...corner })),
  ],
  drag: dragCorner,
  move: shifted,
  outline: (shape) => ({ points: corners(shape), closed: true }),
  size: (shape) => Math.min(number(shape, "width"), number(shape, "height")),
};

const rotateRectangle: Shape = {
  ...rectangle,
  begin: (from) => ({ ...rectangle.begin(from), angle: 0 }),
  span: (from, to) => ({ ...box(from, to), angle: 0 }),
  preset: (centre, size) => ({
    x: centre.x - size,
    y: centre.y - size / 2,
    width: 2 * size,
    height: size,
    angle: 0,
  }),
  handles: (shape, extent, reach) => [
    ...rectangle.handles(shape, extent, reach),
    {
      id: "turn",
      kind: "turn",
      ...turned(middle(shape), number(shape, "width") / 2 + reach, 0, number(shape, "angle")),
    },
  ],
  drag: (shape, handle, to) => {
    if (handle !== "turn") return dragCorner(shape, handle, to);
    const centre = middle(shape);
    return { ...shape, angle: degrees(Math.atan2(to.y - centre.y, to.x - centre.x)) };
  },
};

function vertices(shape: Geometry): Place[] {
  return shape.points ?? [];
}

function centreOf(points: readonly Place[]): Place {
  const n = Math.max(1, points.length);
  return {
    x: points.reduce((sum, { x }) => sum + x, 0) / n,
    y: points.reduce((sum, { y }) => sum + y, 0) / n,
  };
}

const polygon: Shape = {
  manner: "vertices",
  begin: (from) => ({ points: [from], closed: true }),
  span: (from) => ({ points: [from], closed: true }),
  handles: (shape) => [
    { id: "move", kind: "move", ...centreOf(vertices(shape)) },
    ...vertices(shape).map((vertex, index): Handle => ({ id: String(index), kind: "vertex", ...vertex })),
  ],
  drag: (shape, handle, to) => ({
    ...shape,
    points: vertices(shape).map((vertex, index) => (String(index) === handle ? to : vertex)),
  }),
  move: (shape, dx, dy) => ({
    ...shape,
    points: vertices(shape).map(({ x, y }) => ({ x: x + dx, y: y + dy })),
  }),
  outline: (shape) => ({ points: vertices(shape), closed: true }),
  size: (shape) => (vertices(shape).length < 3 ? 0 : Infinity),
};

const freehandLine: Shape = {
  ...polygon,
  manner: "trail",
  begin: (from) => ({ points: [from] }),
  span: (from) => ({ points: [from] }),
  handles: (shape) => [{ id: "move", kind: "move", ...centreOf(vertices(shape)) }],
  drag: (shape) => shape,
  outline: (shape) => ({ points: vertices(shape), closed: false }),
  size: (shape) => (vertices(shape).length < 2 ? 0 : length(vertices(shape))),
};

export function length(points: readonly Place[]): number {
  return points.reduce((sum, { x, y }, index) => {
    const before = points[index - 1];
    return before ? sum + Math.hypot(x - before.x, y - before.y) : sum;
  }, 0);
}

/** A range of x over the whole height. `centred`: x is its middle, as the newer classifier has it on graphs. */
function range(centred: boolean): Shape {
  const edges = (shape: Geometry): [number, number] => {
    const [x, width] = [number(shape, "x"), number(shape, "width")];
    return centred ? [x - width / 2, x + width / 2] : [x, x + width];
  };
  const between = (a: number, b: number): Geometry => {
    const width = Math.abs(b - a);
    return { x: centred ? (a + b) / 2 : Math.min(a, b), width };
  };
  return {
    manner: "span",
    begin: ({ x }) => between(x, x),
    span: (from, to) => between(from.x, to.x),
    preset: ({ x }, size) => between(x - size, x + size),
    handles: (shape, { top, bottom }) => {
      const [left, right] = edges(shape);
      const y = (top + bottom) / 2;
      return [
        { id: "move", kind: "move", x: (left + right) / 2, y },
        { id: "left", kind: "size", x: left, y },
        { id: "right", kind: "size", x: right, y },
      ];
    },
    drag: (shape, handle, to) => {
      const [left, right] = edges(shape);
      return handle === "left" ? between(to.x, right) : between(left, to.x);
    },
    move: (shape, dx) => ({ ...shape, x: number(shape, "x") + dx }),
    outline: (shape, { top, bottom }) => {
      const [left, right] = edges(shape);
      const points = [
        { x: left, y: top },
        { x: right, y: top },
        { x: right, y: bottom },
        { x: left, y: bottom },
      ];
      return { points, closed: true };
    },
    size: (shape) => number(shape, "width"),
  };
}

const fullWidthLine: Shape = {
  manner: "press",
  begin: ({ y }) => ({ y }),
  span: (_from, { y }) => ({ y }),
  handles: (shape, { left, right }) => [
    { id: "move", kind: "move", x: (left + right) / 2, y: number(shape, "y") },
  ],
  drag: (_shape, _handle, { y }) => ({ y }),
  move: (shape, _dx, dy) => ({ y: number(shape, "y") + dy }),
  outline: (shape, { left, right }) => {
    const y = number(shape, "y");
    return { points: [left, right].map((x) => ({ x, y })), closed: false };
  },
  size: () => Infinity,
};

const fullHeightLine: Shape = {
  manner: "press",
  begin: ({ x }) => ({ x }),
  span: (_from, { x }) => ({ x }),
  handles: (shape, { top, bottom }) => [
    { id: "move", kind: "move", x: number(shape, "x"), y: (top + bottom) / 2 },
  ],
  drag: (_shape, _handle, { x }) => ({ x }),
  move: (shape, dx) => ({ x: number(shape, "x") + dx }),
  outline: (shape, { top, bottom }) => {
    const x = number(shape, "x");
    return { points: [top, bottom].map((y) => ({ x, y })), closed: false };
  },
  size: () => Infinity,
};

export const SHAPES: Readonly<Record<string, Shape>> = {
  point,
  line,
  circle,
  ellipse,
  rectangle,
  rotateRectangle,
  polygon,
  freehandLine,
  column: range(false),
  graph2dRangeX: range(true),
  fullWidthLine,
  fullHeightLine,
};

/** The shape of a tool; a point where the tool is not known here. */
export function shapeOf(type: string | undefined): Shape {
  return SHAPES[type ?? ""] ?? point;
}

/**
 * A path with fewer points, none of which left out lies farther than `tolerance` from the rest (Douglas & Peucker 1973,
 * Cartographica 10, 112).
 */
export function simplified(points: readonly Place[], tolerance: number): Place[] {
  const kept = new Set([0, points.length - 1]);
  const open: [number, number][] = [[0, points.length - 1]];
  for (let pair = open.pop(); pair; pair = open.pop()) {
    const [first, last] = pair;
    const [a, b] = [points[first], points[last]];
    if (!a || !b) continue;
    let farthest = -1;
    let most = tolerance;
    points.slice(first + 1, last).forEach((between, index) => {
      const distance = distanceToSegment(between, a, b);
      if (distance > most) [farthest, most] = [first + 1 + index, distance];
    });
    if (farthest < 0) continue;
    kept.add(farthest);
    open.push([first, farthest], [farthest, last]);
  }
  return points.filter((_, index) => kept.has(index));
}

function distanceToSegment(p: Place, a: Place, b: Place): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const squared = dx * dx + dy * dy;
  const t = squared === 0 ? 0 : Math.max(0, Math.min(1, ((p.x - a.x) * dx + (p.y - a.y) * dy) / squared));
  return Math.hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}
