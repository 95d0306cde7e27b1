// A NestJS microservice behind the Redis transport: `node nestjs-service.mjs BROKER_PORT`. It answers 'sum', and reports every
// event 'noted' to its parent. Without decorators, which plain JavaScript does not have: they are applied by hand.

import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, MessagePattern, Transport } from '@nestjs/microservices';

class Sums {
  sum(numbers) {
    return numbers.reduce((total, number) => total + number, 0);
  }

  noted(note) {
    process.send({ noted: note });
  }
}
const decorate = (decorator, name) => decorator(Sums.prototype, name, Object.getOwnPropertyDescriptor(Sums.prototype, name));
Controller()(Sums);
decorate(MessagePattern('sum'), 'sum');
decorate(EventPattern('noted'), 'noted');

class App {}
Module({ controllers: [Sums] })(App);

const service = await NestFactory.createMicroservice(App, {
  transport: Transport.REDIS,
  options: { host: '127.0.0.1', port: Number(process.argv[2]) },
  logger: ['error'],
});
await service.listen();
process.on('disconnect', () => process.exit(0));
process.send('listening');
