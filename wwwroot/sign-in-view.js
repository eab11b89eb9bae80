// Draws who is signed in, and the way in for who is not. It adds to the page what only such a chat needs.

import { make, set, setText } from './view.js';
import { codeFrom } from './words.js';

const DOUBTFUL = 2; // this many connections refused in a row may be the sign-in's fault
const DOUBT = 'Perhaps it is your sign-in.';

/** `trouble`: why somebody is not signed in, a sentence, or null. */
export function createSignInView(document, { host, trouble, signIn, signOut }) {
  const find = (selector) => document.querySelector(selector);
  const words = make('p', 'muted', { signInWords: '' });
  const told = error('sign-in');
  const entrance = make(
    'section',
    'welcome',
    { view: 'signed-out' },
    make('div', 'card', {}, icon(), heading(), words, told, make('div', 'ways', {}, button('primary', 'Sign in', { signIn: '' }, go))),
  );
  const doubt = make('bdi', '', { signInDoubt: '' }, DOUBT);
  const name = make('bdi', '', { account: '' });
  const who = make('p', 'muted', {}, 'You are ', name, '. ', button('quiet', 'Sign out', { signOut: '' }, signOut));
  const refused = error('account');
  const line = find('[data-connection]');
  const offer = make('span', '', {}, doubt, ' ', button('', 'Sign in again', { signInAgain: '' }, go));
  let failure = '';
  entrance.hidden = true;
  offer.hidden = true;
  setText(told, trouble ?? '');
  find('main').append(entrance);
  line.append(offer);
  const field = find('[data-field="name"]').parentElement;
  field.after(who, refused);
  field.hidden = true;
  find('[data-action="rename"]').hidden = true;

  function go() {
    signIn().catch(({ message }) => {
      failure = message;
      setText(told, failure);
      set(doubt, { textContent: failure, hidden: false });
    });
  }

  function render({ view, link, form }, identity) {
    set(entrance, { hidden: view !== 'signed-out' });
    const code = codeFrom(location.hash);
    const invited = code === '' ? '' : `Someone shared the room ${code} with you. `;
    set(words, { textContent: `${invited}Everyone here signs in at ${host}.` });
    set(name, { textContent: identity.name ?? '' });
    setText(refused, form.error?.field === 'name' ? form.error.text : '');
    const isDoubtful = link.phase === 'waiting' && link.attempt >= DOUBTFUL;
    set(doubt, { hidden: !isDoubtful && failure === '' });
    set(offer, { hidden: !isDoubtful && link.phase !== 'signed-out' });
    line.style.flexWrap = doubt.hidden ? '' : 'wrap';
  }

  return { render };
}

function heading() {
  const node = make('h1', '', { heading: '' }, 'Sign in to chat');
  node.tabIndex = -1;
  return node;
}

const icon = () => Object.assign(document.createElement('img'), { src: 'icon.svg', alt: '', width: 48, height: 48 });

function error(field) {
  const node = make('p', 'error', { error: field });
  node.setAttribute('role', 'alert');
  return node;
}

function button(className, label, data, onclick) {
  return Object.assign(make('button', className, data, label), { type: 'button', onclick });
}
