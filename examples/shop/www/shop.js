// Fills the pages with data from the shop's API.

const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });
const money = (cents) => euros.format(cents / 100);
const byId = (id) => document.getElementById(id);

async function api(path, init) {
  const response = await fetch(`/api/${path}`, init);
  if (!response.ok) {
    throw new Error(`${path}: ${response.status}`);
  }
  return response.json();
}

/** Makes an element with attributes and children. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Replaces a placeholder by its content. */
function show(place, ...content) {
  place.replaceChildren(...content);
  place.removeAttribute('aria-busy');
}

const picture = (id) => `/static/images/${id}.svg`;

const card = (product) =>
  element('a', { class: 'card', href: `/products/${product.id}` },
    element('img', { src: picture(product.id), alt: '', width: 240, height: 180 }),
    element('strong', {}, product.name),
    element('span', { class: 'line' }, product.line),
    element('span', { class: 'price' }, money(product.cents)));

async function home() {
  show(byId('products'), ...(await api('products')).map(card));
}

async function product() {
  const id = location.pathname.split('/').pop();
  byId('picture').src = picture(id);
  document.querySelector('input[name=product]').value = id;
  const details = api(`products/${id}`).then((found) => {
    document.title = `${found.name} · Corner Shop`;
    byId('name').textContent = found.name;
    byId('line').textContent = found.line;
    byId('price').textContent = money(found.cents);
    byId('about').textContent = found.about;
    byId('product').removeAttribute('aria-busy');
  });
  const others = api(`recommendations?product=${id}`).then((found) => {
    show(byId('recommendations'), ...found.map(card));
  });
  await Promise.all([details, others]);
}

function bill(quote) {
  const row = (name, quantity, cents, kind = '') =>
    element('tr', { class: kind },
      element('td', {}, name),
      element('td', {}, quantity),
      element('td', {}, money(cents)));
  return element('table', {},
    ...quote.lines.map((line) => row(line.name, `× ${line.quantity}`, line.sum)),
    row('Shipping', '', quote.shipping, 'extra'),
    row('Total', '', quote.total, 'total'));
}

/** Shows the cart, and returns whether it has products. */
async function showCart() {
  const quote = await api('cart');
  const filled = quote.lines.length > 0;
  show(byId('cart'), filled ? bill(quote) : 'Your cart is empty.');
  return filled;
}

async function cart() {
  byId('to-checkout').hidden = !(await showCart());
}

async function checkout() {
  const form = byId('order');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    form.querySelector('button').disabled = true;
    try {
      const order = await api('orders', { method: 'POST' });
      form.hidden = true;
      byId('cart').replaceChildren();
      byId('heading').textContent = 'Thank you!';
      byId('confirmation').textContent = `Order ${order.number} over ${money(order.total)} is on its way.`;
    } catch (error) {
      form.querySelector('button').disabled = false;
      apologize(error);
    }
  });
  form.hidden = !(await showCart());
}

function apologize(error) {
  document.querySelector('main').append(element('p', { role: 'alert' }, `Something went wrong (${error.message}).`));
}

const pages = { home, product, cart, checkout };
pages[document.body.dataset.page]().catch(apologize);
