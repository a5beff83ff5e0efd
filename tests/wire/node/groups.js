// Takes a group of pictures through its life with the signatures of the vendor's Node SDK, and prints every answer.
//
//   node groups.js <service url> <access key> <secret key> <picture file>
//
// Once with its client, whose middleware signs the time as well, and once with the plain function for signatures.
'use strict';
const fs = require('fs');
const http = require('http');
const qiniu = require('qiniu');

const [url, accessKey, secretKey, pictureFile] = process.argv.slice(2);
const uri = 'data:application/octet-stream;base64,' + fs.readFileSync(pictureFile).toString('base64');

function withMiddleware() {
    const mac = new qiniu.auth.digest.Mac(accessKey, secretKey);
    const client = new qiniu.httpc.HttpClient({
        middlewares: [new qiniu.httpc.middleware.QiniuAuthMiddleware({mac})]
    });
    return async (method, path, body) => {
        const request = {url: url + path, headers: body === undefined ? {} : {'Content-Type': 'application/json'}};
        if (body !== undefined) request.data = JSON.stringify(body);
        const {data, resp} = await (method === 'GET' ? client.get(request) : client.post(request));
        return {status: resp.statusCode, reqid: resp.headers['x-reqid'], body: data};
    };
}

function withFunction() {
    const mac = new qiniu.auth.digest.Mac(accessKey, secretKey);
    return (method, path, body) => new Promise((resolve, reject) => {
        const content = body === undefined ? '' : JSON.stringify(body);
        const type = body === undefined ? undefined : 'application/json';
        const headers = {Authorization: qiniu.util.generateAccessTokenV2(mac, url + path, method, type, content)};
        if (type) headers['Content-Type'] = type;
        const request = http.request(url + path, {method, headers}, response => {
            const parts = [];
            response.on('data', part => parts.push(part));
            response.on('end', () => resolve({
                status: response.statusCode,
                reqid: response.headers['x-reqid'],
                body: JSON.parse(Buffer.concat(parts))
            }));
        });
        request.on('error', reject);
        request.end(content);
    });
}

async function life(call, group) {
    const path = '/v1/image/group/' + group;
    const answers = {};
    answers.made = await call('POST', path + '/new', {data: [{uri, attribute: {id: '1', label: 'cup', desc: [1.5]}}]});
    answers.listed = await call('GET', path + '?marker=&limit=10');
    answers.found = await call('POST', '/v1/image/groups/search', {data: {uri}, params: {groups: [group], limit: 5}});
    answers.removed = await call('POST', path + '/remove');
    answers.gone = await call('GET', path + '/info');
    return answers;
}

(async () => {
    const answers = {};
    answers.middleware = await life(withMiddleware(), 'middleware');
    answers.function = await life(withFunction(), 'function');
    console.log(JSON.stringify(answers));
})().catch(error => {
    console.error(error);
    process.exit(1);
});
