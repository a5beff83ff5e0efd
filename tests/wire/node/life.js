// Takes one picture through its life in each library with the vendor's Node SDK, and prints every answer.
//
//   node life.js <service url> <app id> <api key> <secret key> <picture file> <changed copy of it>
//
// The interceptor is the whole change that a program needs: another address.
'use strict';
const fs = require('fs');
const {HttpClient, imageSearch: ImageSearch} = require('baidu-aip-sdk');

const [url, appId, apiKey, secretKey, pictureFile, copyFile] = process.argv.slice(2);

HttpClient.setRequestInterceptor(options => {
    options.url = options.url.replace('https://aip.baidubce.com', url);
    if (options.headers) {
        delete options.headers.Host;
        delete options.headers.host;
    }
    return options;
});

async function life(client, library, picture, copy) {
    const call = (operation, ...args) => client[library + operation](...args);
    // The SDK takes the brief as an argument of its own for same_hq alone.
    const add = library === 'sameHq'
        ? image => call('Add', image, '{"id": 1}', {tags: '1,2'})
        : image => call('Add', image, {brief: '{"id": 1}', tags: '1,2', class_id1: 1});
    const answers = {};
    answers.added = await add(picture);
    answers.again = await add(picture);
    answers.found = await call('Search', copy, {rn: 1});
    answers.updated = await call('UpdateContSign', answers.added.cont_sign, {brief: 'changed'});
    answers.changed = await call('Search', picture, {});
    answers.deleted = await call('DeleteBySign', answers.added.cont_sign);
    answers.gone = await call('Search', picture, {});
    return answers;
}

(async () => {
    const picture = fs.readFileSync(pictureFile).toString('base64');
    const copy = fs.readFileSync(copyFile).toString('base64');
    const client = new ImageSearch(appId, apiKey, secretKey);
    const answers = {};
    for (const library of ['sameHq', 'similar', 'product']) {
        answers[library] = await life(client, library, picture, copy);
    }
    const stranger = new ImageSearch(appId, apiKey, 'wrong');
    answers.stranger = await stranger.similarSearch(picture).catch(error => ({thrown: String(error.error || error)}));
    console.log(JSON.stringify(answers));
})();
