// The end of the entry chunk. `ready`, which stands before it, resolves when all chunks are loaded.
const address = (name, kind, origin = '') => `${origin}/app/${name}?kind=${kind}&{{Q}}`;
const root = document.querySelector('#root');

function show(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  root.append(element);
}

function image(name, origin) {
  const element = new Image();
  const loaded = new Promise((resolve, reject) => {
    element.onload = resolve;
    element.onerror = () => reject(new Error(`${name} failed`));
  });
  element.src = address(name, 'app-image', origin);
  root.append(element);
  return loaded;
}

async function call(name, origin) {
  return (await fetch(address(name, 'app-call', origin))).json();
}

function callByXhr(name) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.onload = () => resolve(JSON.parse(request.response));
    request.onerror = () => reject(new Error(`${name} failed`));
    request.open('GET', address(name, 'app-call'));
    request.send();
  });
}

async function start() {
  show('h1', 'A shop');
  const first = [image('logo.bmp'), image('banner.bmp'), document.fonts.load('1em shop', 'A')];
  await ready;
  for (const product of await call('products.json')) show('p', `${product.label}: ${product.price}`);
  await Promise.all([
    ...first,
    image('product-1.bmp'),
    image('product-2.bmp'),
    image('partner-1.bmp', '{{OTHER}}'),
    image('partner-2.bmp', '{{OTHER}}'),
    callByXhr('basket.json'),
    call('offers.json'),
    call('stock.json', '{{OTHER}}'),
  ]);
  window.finish();
}

start();
