// A bot in Slack's own framework that does what Bellhop does in the
// conversations of bolt_test.go. It is to show that the fake speaks Slack.
'use strict';
const { App, LogLevel } = require('@slack/bolt');

const app = new App({
  token: process.env.SLACK_BOT_TOKEN,
  appToken: process.env.SLACK_APP_TOKEN,
  socketMode: true,
  logLevel: LogLevel.ERROR,
  clientOptions: { slackApiUrl: process.env.SLACK_API_URL },
});

const plain = (text) => ({ type: 'plain_text', text });
const button = (label, action_id, value) => ({ type: 'button', text: plain(label), action_id, value });
const help = 'say hello   Says hello';

const modal = (channel, ts) => ({
  type: 'modal',
  callback_id: 'fill',
  private_metadata: JSON.stringify({ channel, ts }),
  title: plain('Bellhop'),
  submit: plain('Go'),
  blocks: [
    {
      type: 'input', block_id: 'env', label: plain('env'),
      element: { type: 'static_select', action_id: 'value', options: ['staging', 'production'].map((v) => ({ text: plain(v), value: v })) },
    },
    { type: 'input', block_id: 'count', label: plain('count'), element: { type: 'number_input', is_decimal_allowed: false, action_id: 'value' } },
  ],
});

async function hear(client, event, text) {
  const { channel, ts, thread_ts } = event;
  const mark = (name) => client.reactions.add({ channel, timestamp: ts, name });
  if (text === 'help') {
    await client.chat.postMessage({ channel, thread_ts, text: help });
  } else if (text === 'form') {
    await client.chat.postMessage({
      channel, thread_ts: thread_ts || ts, text: 'Which env?',
      blocks: [{ type: 'section', text: plain('Which env?') }, { type: 'actions', elements: [button('Fill in', 'fill', `${channel} ${ts}`)] }],
    });
  } else if (text === 'file') {
    await client.files.uploadV2({ channel_id: channel, filename: 'out.txt', content: 'x'.repeat(5000) });
  } else if (text.startsWith('deploy')) {
    await mark('hourglass_flowing_sand');
    const user = await client.users.info({ user: event.user });
    const shown = await client.chat.postMessage({
      channel, text: `runs for ${user.user.name}`,
      blocks: [{ type: 'section', text: plain('it runs') }, { type: 'actions', elements: [button('Cancel', 'cancel', '00002a')] }],
    });
    await client.chat.update({
      channel, ts: shown.ts, text: 'it is over',
      blocks: [{ type: 'section', text: plain('it is over') }, { type: 'actions', elements: [button('Run again', 'again', '00002a')] }],
    });
    await client.chat.postMessage({ channel, thread_ts, text: 'deploys deploy succeeded (00002a)' });
    await mark('white_check_mark');
    await client.reactions.remove({ channel, timestamp: ts, name: 'hourglass_flowing_sand' });
  }
}

app.event('app_mention', ({ client, event }) => hear(client, event, event.text.replace(/^.*?<@[A-Z0-9]+>\s*/, '')));
app.message(async ({ client, message }) => {
  if (message.channel_type === 'im' && !message.subtype && !message.bot_id) await hear(client, message, message.text);
});
app.command('/bellhop', async ({ ack, respond, command }) => {
  await ack();
  await respond({ text: command.text === 'help' ? help : 'what?', response_type: 'ephemeral' });
});
app.action('again', async ({ ack, respond }) => {
  await ack();
  await respond({ text: 'accepted 00002b: deploys deploy', response_type: 'ephemeral', replace_original: false });
});
app.action('fill', async ({ ack, client, body, action }) => {
  await ack();
  const [channel, ts] = action.value.split(' ');
  await client.views.open({ trigger_id: body.trigger_id, view: modal(channel, ts) });
});
app.view('fill', async ({ ack, client, view }) => {
  const count = Number(view.state.values.count.value.value);
  if (count > 9) {
    await ack({ response_action: 'errors', errors: { count: 'count is above 9' } });
    return;
  }
  await ack();
  const { channel, ts } = JSON.parse(view.private_metadata);
  await client.reactions.add({ channel, timestamp: ts, name: 'hourglass_flowing_sand' });
});
app.error(async (error) => { console.error('fault', error); process.exitCode = 1; });

app.start().then(() => console.log('ready'));
process.stdin.resume();
process.stdin.on('end', () => process.exit());
