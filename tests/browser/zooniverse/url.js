// What Zooniverse's client needs of node's module `url` where there is none: its own pages are bundled with a copy of it.
export function parse(address) {
  return new URL(address);
}

export function format(address) {
  return String(address);
}

export default { parse, format };
