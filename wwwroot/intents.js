// What people do with the page, as events for the state. It reads the DOM's events and changes nothing else.

const NEAR_BOTTOM_PX = 48;

export function listen(document, dispatch) {
  document.addEventListener('click', ({ target }) => {
    const button = target.closest?.('button[data-action]');
    if (!button || button.type === 'submit' || isOff(button)) return;
    dispatch(intentOf(button.dataset));
  });

  document.addEventListener('submit', (event) => {
    event.preventDefault();
    const button = event.target.querySelector('button[type="submit"]');
    if (!isOff(button)) dispatch(intentOf(button.dataset));
  });

  document.addEventListener('input', ({ target }) => {
    const { field } = target.dataset;
    if (field) dispatch({ type: `${field}-typed`, text: target.value });
  });

  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.isComposing || event.shiftKey) return;
    const { field } = event.target.dataset;
    if (field !== 'draft' && field !== 'name') return;
    const { form } = event.target;
    event.preventDefault();
    if (field === 'draft' || form.querySelector('[data-field="code"]').value.trim() !== '') form.requestSubmit();
    else form.querySelector('[data-action="create"]').focus();
  });

  const log = document.querySelector('[data-log]');
  log.addEventListener('scroll', () => dispatch({ type: 'scrolled', atBottom: isAtBottom(log) }), { passive: true });
}

const isOff = (button) => button.getAttribute('aria-disabled') === 'true';

const intentOf = ({ action, key, what }) => ({ type: action, key: key && Number(key), what });

const isAtBottom = ({ scrollHeight, scrollTop, clientHeight }) =>
  scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
