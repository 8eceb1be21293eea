// Light or dark, before anything is painted: as the system has it, or as ?__theme= asks (gradio's own word for it).
(() => {
  const asked = new URLSearchParams(location.search).get('__theme'), system = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => document.documentElement.classList.toggle('dark', asked === 'dark' || asked !== 'light' && system.matches);
  apply();
  system.addEventListener('change', apply);
})();
