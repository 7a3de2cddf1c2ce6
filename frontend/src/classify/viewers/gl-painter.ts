// Planes by WebGL2, in two steps. When the look changes, the samples are stretched and coloured into a texture, for
// small planes four times as fine, interpolated after the stretch, so that bright stars get no dark rings. At every
// frame that texture is drawn as one quad, so that moving, turning and zooming cost next to nothing.

import type { ScreenBox } from "../viewport";
import { colourTable } from "./colour-maps";
import type { Affine } from "./geometry";
import { softening, soleBand, STRETCHES, stretchOf, type Limits, type Look } from "./look";
import type { Plane } from "./plane";

/** Planes are developed finer until they are this wide, four times at most. */
const FINE_PX = 1024;
const FINEST = 4;

const CORNERS = `#version 300 es
uniform mat3 map;
out vec2 place;
void main() {
  place = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  gl_Position = vec4((map * vec3(place, 1.0)).xy, 0.0, 1.0);
}`;

const DEVELOP = `#version 300 es
precision highp float;
precision highp sampler2DArray;
uniform sampler2DArray samples;
uniform sampler2D colours;
uniform int stretch, sole, fine;
uniform bool sky, inverted;
uniform vec3 bands;
uniform vec2 limits;
uniform vec2 asinhCurve;
in vec2 place;
out vec4 light;

float level(float value) {
  float share = clamp((value - limits.x) / (limits.y - limits.x), 0.0, 1.0);
  if (stretch == 0) return share;
  if (stretch == 2) return log(1.0 + 1000.0 * share) / log(1001.0);
  if (stretch == 3) return sqrt(share);
  float black = asinh((limits.x - asinhCurve.x) / asinhCurve.y);
  float white = asinh((limits.y - asinhCurve.x) / asinhCurve.y);
  return clamp((asinh((value - asinhCurve.x) / asinhCurve.y) - black) / (white - black), 0.0, 1.0);
}

vec3 colourAt(ivec2 at) {
  at = clamp(at, ivec2(0), textureSize(samples, 0).xy - 1);
  if (sole >= 0) return vec3(level(texelFetch(samples, ivec3(at, sole), 0).r));
  vec3 value = vec3(texelFetch(samples, ivec3(at, 0), 0).r, texelFetch(samples, ivec3(at, 1), 0).r,
                    texelFetch(samples, ivec3(at, 2), 0).r);
  if (!sky) return vec3(level(value.r), level(value.g), level(value.b)) * bands;
  value = mix(vec3(limits.x), value, bands);
  float mean = dot(value, bands) / max(1.0, dot(bands, vec3(1.0)));
  vec3 above = max(value - limits.x, 0.0) * level(mean) / max(mean - limits.x, 1e-3);
  return above / max(1.0, max(above.r, max(above.g, above.b)));
}

// Catmull and Rom's cubic (Keys 1981, IEEE Trans. ASSP 29, 1153, a = -1/2).
vec4 weights(float t) {
  return 0.5 * vec4(((2.0 - t) * t - 1.0) * t, (3.0 * t - 5.0) * t * t + 2.0, ((4.0 - 3.0 * t) * t + 1.0) * t,
                    (t - 1.0) * t * t);
}

void main() {
  vec3 colour;
  if (fine == 1) colour = colourAt(ivec2(gl_FragCoord.xy));
  else {
    vec2 at = gl_FragCoord.xy / float(fine) - 0.5;
    ivec2 first = ivec2(floor(at));
    vec4 wx = weights(fract(at.x)), wy = weights(fract(at.y));
    colour = vec3(0.0);
    for (int row = 0; row < 4; row++)
      for (int column = 0; column < 4; column++)
        colour += wx[column] * wy[row] * colourAt(first + ivec2(column - 1, row - 1));
    colour = clamp(colour, 0.0, 1.0);
  }
  if (sole >= 0) light = texelFetch(colours, ivec2(int(colour.r * 255.0 + 0.5), 0), 0);
  else light = vec4(inverted ? 1.0 - colour : colour, 1.0);
}`;

const DRAW = `#version 300 es
precision highp float;
uniform sampler2D picture;
in vec2 place;
out vec4 light;
void main() { light = texture(picture, place); }`;

/** Names of renderers that have no card: there a frame takes hundreds of milliseconds, and everybody waits for it. */
const BY_PROCESSOR = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** Whether WebGL2 is drawn by a graphics card. */
function hasCard(): boolean {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!gl) return false;
  const named = gl.getExtension("WEBGL_debug_renderer_info");
  const renderer = String(gl.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !BY_PROCESSOR.test(renderer);
}

/** What the card holds of one plane. */
interface Held {
  samples: WebGLTexture;
  picture: WebGLTexture;
  fine: number;
  /** The look and limits that the picture shows. */
  shows: string;
}

export class GlPainter {
  private readonly gl: WebGL2RenderingContext;
  private readonly developer: WebGLProgram;
  private readonly drawer: WebGLProgram;
  private readonly frame: WebGLFramebuffer;
  private readonly colours: WebGLTexture;
  private readonly held = new Map<Plane, Held>();

  /** Something stands on the canvas. */
  private painted = true;

  /** Throws where the browser has no WebGL2, or where the processor would do the card's work. */
  constructor(readonly canvas: HTMLCanvasElement) {
    if (!hasCard()) throw new Error("This browser has no graphics card.");
    const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, depth: false, stencil: false });
    if (!gl) throw new Error("This browser has no WebGL2.");
    this.gl = gl;
    this.developer = this.program(DEVELOP);
    this.drawer = this.program(DRAW);
    this.frame = gl.createFramebuffer();
    this.colours = this.texture(gl.TEXTURE_2D, gl.NEAREST);
  }

  /** Begin a frame of this many device pixels: all of it is clear. */
  begin(width: number, height: number): void {
    const { canvas, gl } = this;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      this.painted = true;
    }
    // An empty canvas that is left alone costs the next picture nothing.
    if (!this.painted) return;
    this.painted = false;
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }

  /**
   * Paint a plane.
   *
   * @param map from the plane's pixels to CSS pixels of the canvas
   * @param ratio device pixels a CSS pixel
   */
  paint(plane: Plane, look: Look, limits: Limits, map: Affine, box: ScreenBox, ratio: number): void {
    const { gl, canvas } = this;
    const held = this.hold(plane, look, limits);
    this.painted = true;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.enable(gl.SCISSOR_TEST);
    const bottom = canvas.height - (box.y + box.height) * ratio;
    gl.scissor(
      Math.round(box.x * ratio),
      Math.round(bottom),
      Math.round(box.width * ratio),
      Math.round(box.height * ratio),
    );
    gl.useProgram(this.drawer);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, held.picture);
    const magnify = look.pixelated ? gl.NEAREST : gl.LINEAR;
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, magnify);
    const x = (2 * ratio) / canvas.width;
    const y = (-2 * ratio) / canvas.height;
    const { width: w, height: h } = plane;
    gl.uniformMatrix3fv(gl.getUniformLocation(this.drawer, "map"), false, [
      map.a * w * x, map.b * w * y, 0,
      map.c * h * x, map.d * h * y, 0,
      map.e * x - 1, map.f * y + 1, 1,
    ]); // prettier-ignore
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  /** Stretch and colour a plane before it is to be painted. */
  prepare(plane: Plane, look: Look, limits: Limits): void {
    this.hold(plane, look, limits);
  }

  /** Free what the card holds of other planes. */
  keepOnly(planes: Set<Plane>): void {
    for (const [plane, held] of this.held) {
      if (planes.has(plane)) continue;
      this.gl.deleteTexture(held.samples);
      this.gl.deleteTexture(held.picture);
      this.held.delete(plane);
    }
  }

  private hold(plane: Plane, look: Look, limits: Limits): Held {
    const { gl } = this;
    let held = this.held.get(plane);
    if (!held) {
      const samples = this.texture(gl.TEXTURE_2D_ARRAY, gl.NEAREST);
      gl.pixelStorei(gl.UNPACK_ALIGNMENT, 2);
      const { width, height, bands } = plane;
      gl.texImage3D(
        gl.TEXTURE_2D_ARRAY, 0, gl.R16F, width, height, bands, 0, gl.RED, gl.HALF_FLOAT, plane.samples,
      ); // prettier-ignore
      held = { samples, picture: this.texture(gl.TEXTURE_2D, gl.LINEAR), fine: 0, shows: "" };
      this.held.set(plane, held);
    }
    const { stretch, map, inverted, pixelated, bands } = look;
    const shows = JSON.stringify([stretch, map, inverted, pixelated, bands, limits]);
    if (held.shows !== shows) this.develop(held, plane, look, limits);
    held.shows = shows;
    return held;
  }

  private develop(held: Held, plane: Plane, look: Look, limits: Limits): void {
    const { gl } = this;
    const side = Math.max(plane.width, plane.height);
    const fine = look.pixelated ? 1 : Math.min(FINEST, Math.max(1, Math.floor(FINE_PX / side)));
    const width = plane.width * fine;
    const height = plane.height * fine;
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.colours);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
    const table = colourTable(look.map, look.inverted);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, table);
    gl.activeTexture(gl.TEXTURE0);
    if (held.fine !== fine) {
      gl.bindTexture(gl.TEXTURE_2D, held.picture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
      held.fine = fine;
    }
    gl.bindTexture(gl.TEXTURE_2D, null);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, held.samples);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, held.picture, 0);
    gl.viewport(0, 0, width, height);
    gl.disable(gl.SCISSOR_TEST);
    gl.useProgram(this.developer);
    const at = (name: string): WebGLUniformLocation | null => gl.getUniformLocation(this.developer, name);
    const { zero, soft } = softening(plane, limits);
    gl.uniformMatrix3fv(at("map"), false, [2, 0, 0, 0, 2, 0, -1, -1, 1]);
    gl.uniform1i(at("samples"), 0);
    gl.uniform1i(at("colours"), 1);
    gl.uniform1i(at("stretch"), STRETCHES.indexOf(stretchOf(plane, look)));
    gl.uniform1i(at("sole"), soleBand(plane, look));
    gl.uniform1i(at("fine"), fine);
    gl.uniform1i(at("sky"), Number(plane.of === "sky"));
    gl.uniform1i(at("inverted"), Number(look.inverted));
    gl.uniform3fv(at("bands"), look.bands.map(Number));
    gl.uniform2f(at("limits"), limits.low, limits.high);
    gl.uniform2f(at("asinhCurve"), zero, soft);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  private texture(target: GLenum, filter: GLenum): WebGLTexture {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.bindTexture(target, texture);
    gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, filter);
    gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, filter);
    gl.texParameteri(target, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(target, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    return texture;
  }

  private program(fragment: string): WebGLProgram {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [type, source] of [
      [gl.VERTEX_SHADER, CORNERS],
      [gl.FRAGMENT_SHADER, fragment],
    ] as const) {
      const shader = gl.createShader(type);
      if (!shader) throw new Error("The shader could not be made.");
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS))
      throw new Error(gl.getProgramInfoLog(program) ?? "The shader could not be linked.");
    return program;
  }
}
