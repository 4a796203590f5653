// A small emoji picker, loaded when it is opened. The characters are those of the system's font.
import { useState, type ReactNode } from 'react';
import { useText } from '../use.js';

const groups = {
  smileys: [
    '😀 😃 😄 😁 😆 😅 🤣 😂 🙂 😉 😊 😇 🥰 😍 🤩 😘 😋 😛 😜 🤪 🤗 🤭 🤔 🤐 😐 😶',
    '😏 😒 🙄 😬 😌 😔 😪 😴 😷 🤒 🤕 🤢 🤧 🥵 🥶 😵 🤯 🤠 🥳 😎 🤓 😕 😟 🙁 😮 😲',
    '😳 🥺 😨 😰 😥 😢 😭 😱 😖 😣 😞 😓 😩 😫 🥱 😤 😡 😠 🤬 😈 💀 💩 🤡 👻 👽 🤖',
  ].join(' '),
  people: [
    '👋 🤚 ✋ 🖖 👌 🤏 ✌️ 🤞 🤟 🤘 🤙 👈 👉 👆 👇 ☝️ 👍 👎 ✊ 👊 👏 🙌 👐 🤲 🤝 🙏',
    '✍️ 💪 👂 👀 🧠 👶 🧒 👩 👨 🧓 🙍 🙅 🙆 💁 🙋 🙇 🤦 🤷 👮 👷 👸 🤴 🎅 💃 🕺 🏃',
    '🚶',
  ].join(' '),
  nature: [
    '🐶 🐱 🐭 🐹 🐰 🦊 🐻 🐼 🐨 🐯 🦁 🐮 🐷 🐸 🐵 🐔 🐧 🐦 🦆 🦉 🐺 🐴 🦄 🐝 🦋 🐌',
    '🐞 🐢 🐍 🐙 🐠 🐬 🐳 🌵 🌲 🌴 🌱 🍀 🍁 🌹 🌻 🌸 ☀️ 🌙 ⭐ 🔥 🌈 ☁️ 🌧️ ❄️',
  ].join(' '),
  food: [
    '🍏 🍐 🍊 🍋 🍌 🍉 🍇 🍓 🍒 🍑 🥭 🍍 🥝 🍅 🥑 🥦 🥕 🌽 🍞 🧀 🥚 🍳 🥞 🍔 🍟 🍕',
    '🌭 🥪 🌮 🍜 🍝 🍣 🍱 🥟 🍚 🍦 🍰 🎂 🍫 🍬 🍿 ☕ 🍵 🍺 🍷 🥂',
  ].join(' '),
  things: [
    '❤️ 🧡 💛 💚 💙 💜 🖤 💔 💯 ✅ ❌ ❓ ❗ ⚠️ 🎉 🎊 🎁 🏆 ⚽ 🏀 🎮 🎲 🎵 🎤 🎧 📷',
    '📱 💻 ⌚ 📞 📚 ✏️ 📎 📌 📅 ⏰ 💡 🔑 🔒 🚗 🚲 ✈️ 🚀 🏠 🏫 🏖️ 💰 🛒',
  ].join(' '),
};

type Group = keyof typeof groups;

/** Shows emoji in groups. */
export function EmojiPicker({ onPick }: { onPick: (emoji: string) => void }): ReactNode {
  const t = useText();
  const [group, setGroup] = useState<Group>('smileys');
  return (
    <div className="emoji">
      <div className="groups" role="tablist" aria-label={t('emoji.groups')}>
        {(Object.keys(groups) as Group[]).map((g) => (
          <button key={g} type="button" role="tab" aria-selected={g === group} onClick={() => setGroup(g)}>
            {t(`emoji.${g}`)}
          </button>
        ))}
      </div>
      <div className="grid" role="tabpanel" aria-label={t(`emoji.${group}`)}>
        {groups[group].split(' ').map((e) => (
          <button key={e} type="button" onClick={() => onPick(e)}>
            {e}
          </button>
        ))}
      </div>
    </div>
  );
}
